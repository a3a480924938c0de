"""Tags that libvips does not write into TIFF files."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

from arm_batch.metadata.exif import Exif
from arm_batch.metadata.exif.tags import number_entry, swapped
from arm_batch.metadata.exif.writing import Layout, Room
from arm_batch.metadata.metadata import is_big

_EXTRA_SAMPLES = 338
_RESOLUTION = (282, 283, 296)


def extra_samples(has_alpha: bool, planes: int) -> tuple[int, ...]:
    """What the bands beyond the colours are, as TIFF numbers it: alpha that was not multiplied, or anything."""
    return (2,) * has_alpha + (0,) * (planes - has_alpha)


def with_tags(data: bytes, exif: Exif, extra_samples: tuple[int, ...]) -> bytes:
    """`add_tags` for a file in memory."""
    file = io.BytesIO(data)
    add_tags(file, exif, extra_samples)
    return file.getvalue()


def add_tags(file: BinaryIO, exif: Exif, extra_samples: tuple[int, ...]) -> None:
    """Give a TIFF file of one page EXIF, and say what its bands beyond the colours are.

    libvips writes no EXIF, calls every further band alpha and makes up a resolution. A new directory at the end of
    the file takes the place of the one it wrote; all that this one points to stays where it is.

    Args:
        file: little-endian, open for reading and writing.
        exif: what is to be told, as `exif_for` TIFF gives it.
        extra_samples: for each band beyond the colours 2 for alpha, 0 for anything else.
    """
    file.seek(0)
    header = file.read(16)
    big = is_big(header)
    header = header[: 16 if big else 8]
    added = exif.tags if exif.order == "<" else swapped(exif.tags)
    if extra_samples:
        added = added | {_EXTRA_SAMPLES: number_entry("<", extra_samples)}
    pointer = "<Q" if big else "<I"
    place = len(header) - struct.calcsize(pointer)
    entries = _entries(file, struct.unpack_from(pointer, header, place)[0], big)
    entries = {tag: entry for tag, entry in entries.items() if tag not in _RESOLUTION}
    start = file.seek(0, io.SEEK_END)
    layout = Layout("<", big, Room(start))
    first = layout.directory(added, entries)
    for offset, data in sorted(layout.pieces):
        file.write(bytes(offset - file.tell()) + data)
    # The header is last, until when the file is as it was.
    file.seek(place)
    file.write(struct.pack(pointer, first))


def _entries(file: BinaryIO, offset: int, big: bool) -> dict[int, bytes]:
    """The entries of the directory at `offset` by tag, as they stand."""
    file.seek(offset)
    (count,) = struct.unpack("<Q" if big else "<H", file.read(8 if big else 2))
    entries = (file.read(20 if big else 12) for _ in range(count))
    return {struct.unpack_from("<H", entry)[0]: entry for entry in entries}
