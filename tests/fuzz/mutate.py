"""Broken files made from sound ones, by a seed."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Literal

_INTERESTING = (0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 64, 127, 128, 255, 256, 32767, 32768, 65535, 2**16, 2**24)
_WIDE = (2**31 - 1, 2**31, 2**32 - 1, 2**32 - 16)
_HEADER = 512
"""Bytes at the beginning of a file that are hit more often: what is there says what the rest is."""


def mutate(data: bytes, mates: Sequence[bytes], rng: random.Random) -> bytes:
    """One to six changes.

    Args:
        data: a file.
        mates: others to take pieces from, at least one.
        rng: decides.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        data = rng.choice(_CHANGES)(data, mates, rng)
    # A checksum that is right lets the change come through to what is behind it.
    return with_right_checksums(data) if data[1:4] == b"PNG" and rng.random() < 0.8 else data


def with_right_checksums(data: bytes) -> bytes:
    """Of the chunks of a PNG file, as far as they can be followed."""
    mended = bytearray(data)
    place = 8
    while place + 12 <= len(mended):
        (size,) = struct.unpack_from(">I", mended, place)
        end = place + 8 + size
        if end + 4 > len(mended):
            break
        struct.pack_into(">I", mended, end, zlib.crc32(mended[place + 4 : end]))
        place = end + 4
    return bytes(mended)


def _place(data: bytes, rng: random.Random) -> int:
    return rng.randrange(max(1, min(len(data), _HEADER) if rng.random() < 0.7 else len(data)))


def _set_bytes(data: bytes, mates: Sequence[bytes], rng: random.Random) -> bytes:
    del mates
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64))):
        if changed:
            changed[_place(data, rng)] = rng.randrange(256)
    return bytes(changed)


def _flip_bit(data: bytes, mates: Sequence[bytes], rng: random.Random) -> bytes:
    del mates
    place = _place(data, rng)
    return (
        data[:place] + bytes(byte ^ 1 << rng.randrange(8) for byte in data[place : place + 1]) + data[place + 1 :]
    )


_ORDERS: tuple[Literal["big", "little"], ...] = ("big", "little")


def _set_number(data: bytes, mates: Sequence[bytes], rng: random.Random) -> bytes:
    del mates
    size = rng.choice((1, 2, 2, 4, 4, 8))
    value = rng.choice((*_INTERESTING, *_WIDE, len(data))) % 256**size
    place = _place(data, rng)
    return data[:place] + int(value).to_bytes(size, rng.choice(_ORDERS)) + data[place + size :]


def _nudge_number(data: bytes, mates: Sequence[bytes], rng: random.Random) -> bytes:
    del mates
    size, order = rng.choice((1, 2, 4)), rng.choice(_ORDERS)
    place = _place(data, rng)
    old = int.from_bytes(data[place : place + size], order)
    new = (old + rng.choice((-2, -1, 1, 2, 16, old, -(old // 2)))) % 256**size
    return data[:place] + int(new).to_bytes(size, order) + data[place + size :]


def _cut_end(data: bytes, mates: Sequence[bytes], rng: random.Random) -> bytes:
    del mates
    return data[: rng.randrange(len(data) + 1)]


def _cut_out(data: bytes, mates: Sequence[bytes], rng: random.Random) -> bytes:
    del mates
    place = _place(data, rng)
    return data[:place] + data[place + rng.choice((1, 2, 4, 12, 100)) :]


def _repeat(data: bytes, mates: Sequence[bytes], rng: random.Random) -> bytes:
    del mates
    place, size = _place(data, rng), rng.choice((1, 4, 12, 100, 1000))
    return data[:place] + data[place : place + size] * rng.choice((2, 2, 3, 20)) + data[place + size :]


def _insert(data: bytes, mates: Sequence[bytes], rng: random.Random) -> bytes:
    del mates
    place = _place(data, rng)
    return data[:place] + rng.randbytes(rng.choice((1, 2, 4, 50))) + data[place:]


def _splice(data: bytes, mates: Sequence[bytes], rng: random.Random) -> bytes:
    mate = rng.choice(mates)
    start = _place(mate, rng)
    piece = mate[start : start + rng.choice((4, 12, 64, 500))]
    place = _place(data, rng)
    return data[:place] + piece + data[place + len(piece) * rng.randrange(2) :]


def _cross(data: bytes, mates: Sequence[bytes], rng: random.Random) -> bytes:
    return data[: _place(data, rng)] + (mate := rng.choice(mates))[_place(mate, rng) :]


_CHANGES: tuple[Callable[[bytes, Sequence[bytes], random.Random], bytes], ...] = (
    _set_bytes,
    _flip_bit,
    _flip_bit,
    _set_number,
    _set_number,
    _nudge_number,
    _nudge_number,
    _cut_end,
    _cut_out,
    _repeat,
    _insert,
    _splice,
    _cross,
)
