"""Tags and their values, as they stand in a file."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Union

Order = Literal["<", ">"]
"""Of bytes, as `struct` says it."""

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, DIRECTORY, LONG8 = 1, 2, 3, 4, 5, 7, 13, 16
"""Kinds of values."""

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
"""Bytes of one value of each kind."""

_WORDS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
"""Bytes that are in the order of the file, of each kind that has more than one."""

_WHOLE = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}
_FRACTIONS = {5: "I", 10: "i"}
_FLOATS = {11: "f", 12: "d"}

_LONGEST = 1 << 32

DETAILS, PLACE, INTEROP, MAKER_NOTE = 0x8769, 0x8825, 0xA005, 0x927C
"""EXIF proper and the place, of the main directory; of details, how cameras agree and what only makers know."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The value of a tag.

    Attributes:
        kind: a key of `SIZES`.
        count: of values.
        data: ``count * SIZES[kind]`` bytes, in the order of the block.
        at: the offset where they must stay, for what they hold are offsets; None where they may move.
    """

    kind: int
    count: int
    data: bytes
    at: int | None = None


Tags = dict[int, Union[Entry, "Tags"]]
"""A directory: values, and further directories where they are pointed to."""


@dataclass(frozen=True, kw_only=True)
class Exif:
    """A block.

    Attributes:
        order: of bytes.
        tags: the main directory.
        pins: what else maker notes point to, by the offset where it must stay.
        lost: how many tags could not be read.
    """

    order: Order = "<"
    tags: Tags = field(default_factory=dict)
    pins: tuple[tuple[int, bytes], ...] = ()
    lost: int = 0

    def entry(self, *path: int) -> Entry | None:
        """The value of a tag; of one in a further directory by the tags on the way."""
        found: Entry | Tags | None = self.tags
        for tag in path:
            found = found.get(tag) if isinstance(found, dict) else None
        return found if isinstance(found, Entry) else None

    def fractions(self, *path: int) -> list[tuple[int, int]]:
        """Its numbers, each as numerator and denominator; none where it is not there or has other values."""
        entry = self.entry(*path)
        if entry is None:
            return []
        if entry.kind in _WHOLE:
            whole = struct.unpack(f"{self.order}{entry.count}{_WHOLE[entry.kind]}", entry.data)
            return [(value, 1) for value in whole]
        if entry.kind in _FRACTIONS:
            words = struct.unpack(f"{self.order}{2 * entry.count}{_FRACTIONS[entry.kind]}", entry.data)
            return list(zip(words[::2], words[1::2], strict=True))
        return []

    def floats(self, *path: int) -> list[float]:
        """The same as floats, also of what are floats; none where one of them is no number."""
        entry = self.entry(*path)
        if entry is not None and entry.kind in _FLOATS:
            values = struct.unpack(f"{self.order}{entry.count}{_FLOATS[entry.kind]}", entry.data)
            return list(values) if all(map(math.isfinite, values)) else []
        fractions = self.fractions(*path)
        return [a / b for a, b in fractions] if all(b for _, b in fractions) else []


def number_entry(order: Order, values: Sequence[int]) -> Entry:
    """Numbers from 0 up, in the smaller of the usual kinds that holds them."""
    kind = SHORT if max(values) < 1 << 16 else LONG
    return Entry(kind=kind, count=len(values), data=struct.pack(f"{order}{len(values)}{_WHOLE[kind]}", *values))


def fraction_entry(order: Order, fractions: Sequence[tuple[int, int]]) -> Entry:
    """Fractions from 0 up."""
    words = [word for fraction in fractions for word in fraction]
    return Entry(kind=RATIONAL, count=len(fractions), data=struct.pack(f"{order}{len(words)}I", *words))


def times(exif: Exif, scale: int, *path: int) -> Entry | None:
    """The numbers of a tag so many times, in the same kind or a wider one.

    As they are where they are none, or where no kind holds them any more: no camera has such.
    """
    entry = exif.entry(*path)
    if entry is None or not entry.count:
        return entry
    if entry.kind in _FLOATS:
        return _floats_times(entry, exif.order, exif.floats(*path), scale)
    fractions = exif.fractions(*path)
    if not fractions or min(min(pair) for pair in fractions) < 0:
        return entry
    if entry.kind in _WHOLE:
        numbers = [number * scale for number, _ in fractions]
        return number_entry(exif.order, numbers) if max(numbers) < _LONGEST else entry
    return fraction_entry(exif.order, [_times(*pair, scale) for pair in fractions])


def _floats_times(entry: Entry, order: Order, values: Sequence[float], scale: int) -> Entry:
    """An entry of the kind `entry` is; `entry` itself where it has no `values`, or they get too large for it."""
    scaled = [value * scale for value in values]
    if not scaled or not all(map(math.isfinite, scaled)):
        return entry
    try:
        return replace(entry, data=struct.pack(f"{order}{len(scaled)}{_FLOATS[entry.kind]}", *scaled))
    except OverflowError:
        return entry


def _times(numerator: int, denominator: int, scale: int) -> tuple[int, int]:
    """In 32 bits."""
    if numerator * scale < _LONGEST:
        return numerator * scale, denominator
    return numerator, max(1, denominator // scale) if denominator else 0


def text_entry(text: bytes) -> Entry:
    """Text, which gets the zero that ends it."""
    return Entry(kind=ASCII, count=len(text) + 1, data=text + b"\0")


def swapped(tags: Tags) -> Tags:
    """The tags in the other order of bytes."""
    return {
        tag: swapped(value) if isinstance(value, dict) else _swapped_entry(value) for tag, value in tags.items()
    }


def _swapped_entry(entry: Entry) -> Entry:
    size = _WORDS.get(entry.kind)
    if size is None:
        return entry
    words = (entry.data[place : place + size][::-1] for place in range(0, len(entry.data), size))
    return Entry(kind=entry.kind, count=entry.count, data=b"".join(words), at=entry.at)
