"""Boxes, of which AVIF, HEIF and JPEG 2000 files consist."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from arm_batch.errors import ImageError

_FULL = 4
"""Bytes of version and flags, which begin some boxes."""


class Box(NamedTuple):
    """One of them.

    Attributes:
        kind: four letters.
        start: of what it holds, an offset in the file.
        stop: the end of that.
    """

    kind: bytes
    start: int
    stop: int


def list_boxes(data: bytes, start: int = 0, stop: int | None = None) -> Iterator[Box]:
    """The boxes that lie one after the other within a range, up to one that is broken."""
    stop = len(data) if stop is None else min(stop, len(data))
    while start + 8 <= stop:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1 and start + 16 <= stop:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        end = start + size if size else stop
        if (size and size < head) or end > stop:
            return
        yield Box(kind, start + head, end)
        start = end


def find_box(data: bytes, *kinds: bytes) -> Box | None:
    """The first box of the last kind within the first of the one before, and so on."""
    found: Box | None = Box(b"", 0, len(data))
    for kind in kinds:
        if found is None:
            return None
        start = found.start + (_FULL if found.kind in (b"meta", b"iref") else 0)
        found = next((box for box in list_boxes(data, start, found.stop) if box.kind == kind), None)
    return found


def primary_properties(data: bytes) -> list[Box]:
    """The properties of the picture that an AVIF or HEIF file is about; none where the file does not say."""
    container, linked = find_box(data, b"meta", b"iprp", b"ipco"), find_box(data, b"meta", b"iprp", b"ipma")
    item = _primary(data)
    if item is None or container is None or linked is None:
        return []
    try:
        chosen = _properties_of(data, linked, item)
    except (struct.error, IndexError):
        return []
    boxes = list(list_boxes(data, container.start, container.stop))
    return [boxes[index - 1] for index in chosen if 0 < index <= len(boxes)]


def primary_item(data: bytes) -> bytes:
    """The picture itself, as it lies in the file; nothing where it is not told where, or lies in pieces."""
    item, places = _primary(data), find_box(data, b"meta", b"iloc")
    if item is None or places is None:
        return b""
    try:
        start, size, _ = _place_of(data, places, item)
    except (ImageError, struct.error, IndexError):
        return b""
    return data[start : start + size]


def _primary(data: bytes) -> int | None:
    """The number of the picture that the file is about."""
    first = find_box(data, b"meta", b"pitm")
    if first is None:
        return None
    try:
        (item,) = struct.unpack_from(">I" if data[first.start] else ">H", data, first.start + _FULL)
    except (struct.error, IndexError):
        return None
    return int(item)


def _properties_of(data: bytes, linked: Box, item: int) -> list[int]:
    """Their numbers, from 1."""
    version, wide = data[linked.start], data[linked.start + 3] & 1
    (count,) = struct.unpack_from(">I", data, linked.start + _FULL)
    place = linked.start + _FULL + 4
    for _ in range(count):
        name = ">I" if version else ">H"
        (found,) = struct.unpack_from(name, data, place)
        place += struct.calcsize(name)
        n, place = data[place], place + 1
        if found == item:
            if wide:
                return [index & 0x7FFF for index in struct.unpack_from(f">{n}H", data, place)]
            return [index & 0x7F for index in data[place : place + n]]
        place += n * (2 if wide else 1)
    return []


def replace_exif(data: bytes, exif: bytes) -> bytes:
    """An AVIF file with another block of EXIF in place of the one that it has, which is overwritten with zeros.

    Args:
        data: the file.
        exif: from ``Exif`` on.

    Raises:
        ImageError: it has none, or does not say where.
    """
    info, places = find_box(data, b"meta", b"iinf"), find_box(data, b"meta", b"iloc")
    if info is None or places is None:
        raise ImageError("its EXIF cannot be written: the file has no place for it")
    item = _item_of(data, info, b"Exif")
    file = bytearray(data)
    start, size, fields = _place_of(data, places, item)
    file[start : start + size] = bytes(size)
    # What stands before the header of TIFF is counted, and then comes.
    payload = struct.pack(">I", exif.index(b"Exif\0\0") + 6) + exif
    where = len(file) + 8
    file += struct.pack(">I4s", 8 + len(payload), b"mdat") + payload
    for place, width, value in zip(fields[::2], fields[1::2], (0, where, len(payload)), strict=True):
        file[place : place + width] = value.to_bytes(width, "big")
    return bytes(file)


def _item_of(data: bytes, info: Box, kind: bytes) -> int:
    """The number of the first item of a kind, in the only versions of these boxes that libheif writes."""
    start = info.start + _FULL + (4 if data[info.start] else 2)
    for box in list_boxes(data, start, info.stop):
        if box.kind == b"infe" and data[box.start] == 2 and data[box.start + 8 : box.start + 12] == kind:
            return int.from_bytes(data[box.start + 4 : box.start + 6], "big")
    raise ImageError("its EXIF cannot be written: the file has no item for it")


def _place_of(data: bytes, places: Box, item: int) -> tuple[int, int, tuple[int, ...]]:
    """Where an item lies, how long it is, and place and width of the fields that say so: base, offset, length."""
    version = data[places.start]
    if version > 1:
        raise ImageError("its EXIF cannot be written: items are listed in a way that is not known")
    widths, bases = data[places.start + _FULL], data[places.start + _FULL + 1]
    offset_width, length_width, base_width, index_width = widths >> 4, widths & 15, bases >> 4, bases & 15
    (count,) = struct.unpack_from(">H", data, places.start + _FULL + 2)
    place = places.start + _FULL + 4
    for _ in range(count):
        (found,) = struct.unpack_from(">H", data, place)
        base_at = place + (6 if version else 4)
        (extents,) = struct.unpack_from(">H", data, base_at + base_width)
        first = base_at + base_width + 2 + (index_width if version else 0)
        if found == item:
            fields = (base_at, base_width, first, offset_width, first + offset_width, length_width)
            base, offset, length = (
                int.from_bytes(data[at : at + width], "big")
                for at, width in zip(fields[::2], fields[1::2], strict=True)
            )
            method = data[place + 3] & 15 if version else 0
            if method or extents != 1:
                raise ImageError("its EXIF cannot be written: it lies in a way that is not known")
            return base + offset, length, fields
        step = offset_width + length_width + (index_width if version else 0)
        place = base_at + base_width + 2 + extents * step
    raise ImageError("its EXIF cannot be written: it lies nowhere")
