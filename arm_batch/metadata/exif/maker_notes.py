"""Maker notes: what only the maker of a camera knows, mostly a directory whose offsets count from somewhere.

Most makers count from the start of the whole block, so that the note can be read only where it was written. Some
count from the start of the note or give it a header of its own: these can be read anywhere. Which it is shows in
where the values lie.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from arm_batch.metadata.exif.tags import SIZES, Order

_STARTS = (0, 8, 10, 12, 14, 16, 18, 2, 4, 6, 22, 24)
"""Where in a note its directory begins, behind the name of the maker."""

_FUJIFILM = (b"FUJIFILM", b"GENERALE")
"""Makers who say where it begins, little-endian whatever the block is."""

_HEADERS = (b"II*\0", b"MM\0*")
_NAME = 24
"""Bytes of a note in which a header of its own may stand."""

_MOST_ENTRIES = 512
_HEADER = 8

Range = tuple[int, int]
"""From one byte to before another."""


class _Values(NamedTuple):
    """Where the values of a note lie that are not in its directory.

    Attributes:
        base: what their offsets count from, in bytes from the start of the note; None for the start of the block.
        ranges: counted from there.
    """

    base: int | None
    ranges: list[Range]


class _Directory(NamedTuple):
    """What looks like one.

    Attributes:
        entries: how many.
        end: of them, in bytes from the start of the note.
        ranges: where values lie, as its offsets have it.
    """

    entries: int
    end: int
    ranges: list[Range]


def outside_of(block: bytes, start: int, size: int, order: Order) -> list[Range]:
    """Ranges of a block, outside of the note in it, where values of the note lie.

    Args:
        block: from the header of TIFF on.
        start: of the note.
        size: of the note, bytes.
        order: of the block.
    """
    base, ranges = _values(block[start : start + size], order, start)
    shift = 0 if base is None else start + base
    shifted = [(first + shift, last + shift) for first, last in ranges]
    return [
        (first, last)
        for first, last in shifted
        if first >= _HEADER and last <= len(block) and not (start <= first and last <= start + size)
    ]


def can_move(note: bytes, order: Order, at: int | None) -> bool:
    """Whether a note says the same wherever it stands: as far as one can see, no offset in it counts from outside.

    Args:
        note: its bytes.
        order: of the block.
        at: where in the block it was; None where that is not known.
    """
    base, ranges = _values(note, order, at)
    if base is None:
        return not ranges
    return all(-base <= first and last <= len(note) - base for first, last in ranges)


def _values(note: bytes, order: Order, at: int | None) -> _Values:
    """Of its directory; nothing where there is none."""
    own = next((place for place in range(_NAME) if note[place : place + 4] in _HEADERS), None)
    other: Order = ">" if order == "<" else "<"
    guessed = [(start, guess) for guess in (order, other) for start in _STARTS]
    starts = [*_told_starts(note, own), *guessed]
    found = [directory for start in starts if (directory := _directory(note, *start)) is not None]
    if not found:
        return _Values(None, [])
    # Where something else looks like a directory, it is a short one.
    directory = max(found, key=lambda directory: directory.entries)
    return _Values(_likely_base(directory, len(note), own, at), directory.ranges)


def _told_starts(note: bytes, own: int | None) -> Iterator[tuple[int, Order]]:
    """Where a note says that its directory begins, and in which order; `own` is where it has a header."""
    if own is not None and len(note) >= own + 8:
        order: Order = "<" if note[own : own + 1] == b"I" else ">"
        yield own + struct.unpack_from(f"{order}I", note, own + 4)[0], order
    if note.startswith(_FUJIFILM) and len(note) >= 12:
        yield struct.unpack_from("<I", note, 8)[0], "<"


def _directory(note: bytes, start: int, order: Order) -> _Directory | None:
    """The directory at `start`; None where there is none."""
    if start + 2 > len(note):
        return None
    (count,) = struct.unpack_from(f"{order}H", note, start)
    end = start + 2 + 12 * count
    if not 0 < count <= _MOST_ENTRIES or end > len(note):
        return None
    ranges, strange = [], 0
    for place in range(start + 2, end, 12):
        _, kind, values, offset = struct.unpack_from(f"{order}HHII", note, place)
        size = SIZES.get(kind, 0) * values
        strange += kind not in SIZES
        if size > 4:
            ranges.append((offset, offset + size))
    # Some cameras write an entry or two that are none.
    return _Directory(count, end, ranges) if strange <= count // 8 else None


def _likely_base(directory: _Directory, size: int, own: int | None, at: int | None) -> int | None:
    """What puts most values between the end of the directory and that of the note, and the first one soonest."""
    bases: list[tuple[int | None, int]] = [] if own is None else [(own, own)]
    bases += [(None, -at)] if at is not None else []
    bases.append((0, 0))

    def fitness(candidate: tuple[int | None, int]) -> tuple[int, int]:
        shifted = [(first + candidate[1], last + candidate[1]) for first, last in directory.ranges]
        starts = [first for first, last in shifted if directory.end <= first and last <= size]
        return len(starts), -min(starts, default=0)

    best = max(bases, key=fitness)
    return best[0] if fitness(best)[0] else None
