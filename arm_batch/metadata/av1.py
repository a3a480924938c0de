"""What the pictures in AVIF files, streams of AV1, say of their colours: two codes in the sequence header."""

from __future__ import annotations

_SEQUENCE_HEADER = 1
_MOST_UNITS = 8
_ENDED = "it ends too early"


class _Bits:
    """Reads numbers bit by bit, the highest first; `ValueError` at the end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError(_ENDED)
        return (self._value >> self._left) & ((1 << count) - 1)

    def skip(self, *counts: int) -> None:
        for count in counts:
            self.take(count)


def colour_codes(stream: bytes) -> tuple[int, int] | None:
    """Primaries and transfer as codes of ITU-T H.273; None where the stream does not say, or is none.

    Args:
        stream: open bitstream units, one after the other.
    """
    try:
        header = _sequence_header(stream)
        return None if header is None else _codes_of(_Bits(header[:256]))
    except (ValueError, IndexError):
        return None


def _sequence_header(stream: bytes) -> bytes | None:
    place = 0
    for _ in range(_MOST_UNITS):
        kind, extended, sized = stream[place] >> 3 & 15, stream[place] >> 2 & 1, stream[place] >> 1 & 1
        place += 1 + extended
        size, place = _leb128(stream, place) if sized else (len(stream) - place, place)
        if kind == _SEQUENCE_HEADER:
            return stream[place : place + size]
        place += size
    return None


def _leb128(stream: bytes, place: int) -> tuple[int, int]:
    """A number, and what follows it."""
    value = 0
    for index in range(8):
        value |= (stream[place + index] & 0x7F) << 7 * index
        if not stream[place + index] & 0x80:
            return value, place + index + 1
    raise ValueError("a size in it is far too large")


def _codes_of(bits: _Bits) -> tuple[int, int] | None:
    profile, _, short = bits.take(3), bits.take(1), bits.take(1)
    if short:
        bits.skip(5)
    else:
        _skip_timing_and_points(bits)
    width, height = bits.take(4) + 1, bits.take(4) + 1
    bits.skip(width, height)
    if not short and bits.take(1):
        bits.skip(4, 3)
    bits.skip(3)
    if not short:
        _skip_tools_of_video(bits)
    bits.skip(3)
    deep = bits.take(1)
    if profile == 2 and deep:
        bits.skip(1)
    if profile != 1:
        bits.skip(1)
    return (bits.take(8), bits.take(8)) if bits.take(1) else None


def _skip_timing_and_points(bits: _Bits) -> None:
    delay = 0
    if bits.take(1):
        bits.skip(32, 32)
        if bits.take(1):
            zeros = 0
            while not bits.take(1):
                zeros += 1
            bits.skip(zeros)
        if bits.take(1):
            delay = bits.take(5) + 1
            bits.skip(32, 5, 5)
    shown_later = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.skip(12)
        if bits.take(5) > 7:
            bits.skip(1)
        if delay and bits.take(1):
            bits.skip(delay, delay, 1)
        if shown_later and bits.take(1):
            bits.skip(4)


def _skip_tools_of_video(bits: _Bits) -> None:
    bits.skip(4)
    ordered = bits.take(1)
    if ordered:
        bits.skip(2)
    # Whether tools for screens are chosen for each picture, or else whether they are used at all.
    if (bits.take(1) or bits.take(1)) and not bits.take(1):
        bits.skip(1)
    if ordered:
        bits.skip(3)
