"""Reading EXIF out of blocks and TIFF files; what is broken of it is counted and passed over."""

from __future__ import annotations

import struct
from collections.abc import Callable, Container
from typing import BinaryIO

from arm_batch.metadata.exif.maker_notes import outside_of
from arm_batch.metadata.exif.tags import (
    ASCII,
    DETAILS,
    DIRECTORY,
    INTEROP,
    LONG,
    LONG8,
    MAKER_NOTE,
    PLACE,
    SIZES,
    UNDEFINED,
    Entry,
    Exif,
    Order,
    Tags,
)

PREFIX = b"Exif\0\0"
"""What stands before a block in JPEG files."""

_ORDERS: dict[bytes, Order] = {b"II": "<", b"MM": ">"}
_POINTERS = (LONG, 9, DIRECTORY, LONG8, 18, UNDEFINED)
_WIDE = {LONG8: "Q", 17: "q", 18: "Q"}
"""Kinds of BigTIFF alone."""

_FURTHER: dict[int, tuple[int, ...]] = {0: (DETAILS, PLACE), DETAILS: (INTEROP,)}
"""Directories that are pointed to, by the one that does; 0 is the main one."""

_MAY_BE_EMPTY = (ASCII, UNDEFINED)
"""Kinds: no number at all is damage."""

_MOST_BYTES = 1 << 24
"""Of one value: more is no metadata."""


class ExifError(ValueError):
    """It is no EXIF at all."""


def parse_block(block: bytes) -> Exif:
    """Parse a block, with or without ``Exif`` in front; no tags for no bytes.

    Raises:
        ExifError: it has no header.
    """
    while block.startswith(PREFIX):
        block = block[len(PREFIX) :]
    if not block:
        return Exif()
    order = _ORDERS.get(block[:2])
    if order is None or len(block) < 8 or struct.unpack_from(f"{order}H", block, 2) != (42,):
        raise ExifError("it has no header")
    reader = _Reader(lambda start, size: block[start : start + size], order, big=False)
    tags = reader.directory(struct.unpack_from(f"{order}I", block, 4)[0])
    pins: tuple[tuple[int, bytes], ...] = ()
    details = tags.get(DETAILS)
    if isinstance(details, dict) and isinstance(note := details.get(MAKER_NOTE), Entry) and len(note.data) > 4:
        at = reader.places[MAKER_NOTE]
        details[MAKER_NOTE] = Entry(kind=note.kind, count=note.count, data=note.data, at=at)
        ranges = outside_of(block, at, len(note.data), order)
        pins = tuple((start, block[start:stop]) for start, stop in ranges)
    return Exif(order=order, tags=tags, pins=pins, lost=reader.lost)


def parse_tiff(stream: BinaryIO, offset: int, wanted: Container[int]) -> Exif:
    """The tags of the directory at `offset` of a TIFF file; `ExifError` where the file is none.

    Args:
        stream: the file.
        offset: of the directory.
        wanted: tags of the main directory; what others hold is not read.
    """

    def read(start: int, size: int) -> bytes:
        stream.seek(start)
        return stream.read(size)

    header = read(0, 4)
    order = _ORDERS.get(header[:2])
    if order is None or len(header) < 4:
        raise ExifError("it has no header")
    reader = _Reader(read, order, big=struct.unpack(f"{order}2xH", header) == (43,))
    return Exif(order=order, tags=reader.directory(offset, wanted=wanted), pins=(), lost=reader.lost)


class _Reader:
    """Reads directories.

    Attributes:
        places: of values that lie outside of their directory, by tag.
        lost: tags that are broken.
    """

    def __init__(self, read: Callable[[int, int], bytes], order: Order, big: bool) -> None:
        self._read, self._order = read, order
        self._count, self._entry = ("Q", "HHQ8s") if big else ("H", "HHI4s")
        self._pointer = "Q" if big else "I"
        self.places: dict[int, int] = {}
        self.lost = 0

    def directory(self, offset: int, name: int = 0, wanted: Container[int] | None = None) -> Tags:
        """The one at `offset`, with those that it points to."""
        size = struct.calcsize(self._count)
        head = self._read(offset, size)
        if len(head) < size:
            self.lost += 1
            return {}
        (count,) = struct.unpack(self._order + self._count, head)
        step = struct.calcsize(self._order + self._entry)
        table = self._read(offset + size, min(count, 1 << 16) * step)
        self.lost += len(table) < count * step
        tags: Tags = {}
        for place in range(0, len(table) - step + 1, step):
            tag, kind, values, inline = struct.unpack_from(self._order + self._entry, table, place)
            if tag in tags or (wanted is not None and tag not in wanted):
                continue
            value = self._value(name, tag, kind, values, inline)
            if value is None:
                self.lost += 1
            elif value:
                tags[tag] = value
        return tags

    def _value(self, name: int, tag: int, kind: int, count: int, inline: bytes) -> Entry | Tags | None:
        """The value of a tag of the directory `name`; None where it is broken."""
        if tag in _FURTHER.get(name, ()):
            if kind not in _POINTERS:
                return None
            return self.directory(struct.unpack_from(self._order + self._pointer, inline)[0], tag)
        if kind in _WIDE and count == 1 and len(inline) == 8:
            return self._narrowed(kind, inline)
        return self._listed(tag, kind, count, inline)

    def _narrowed(self, kind: int, inline: bytes) -> Entry | None:
        """A number of BigTIFF as an ordinary one, where it fits."""
        (number,) = struct.unpack_from(self._order + _WIDE[kind], inline)
        return (
            Entry(kind=LONG, count=1, data=struct.pack(f"{self._order}I", number))
            if 0 <= number < 1 << 32
            else None
        )

    def _listed(self, tag: int, kind: int, count: int, inline: bytes) -> Entry | None:
        """Values that stand in the directory, or where it points to."""
        size = SIZES.get(kind, 0) * count
        if size > _MOST_BYTES or kind not in (SIZES if count else _MAY_BE_EMPTY):
            return None
        if size <= len(inline):
            return Entry(kind=kind, count=count, data=inline[:size])
        (start,) = struct.unpack(self._order + self._pointer, inline)
        data = self._read(start, size)
        self.places[tag] = start
        return Entry(kind=kind, count=count, data=data) if len(data) == size else None
