"""Tags that libvips does not write into TIFF files."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from arm_batch.store.codecs.metadata import is_big, lasting_tags, read_exif

_EXTRA_SAMPLES = 338


def extra_samples(has_alpha: bool, planes: int) -> tuple[int, ...]:
    """What the bands beyond the colours are, as TIFF numbers it: alpha that was not multiplied, or anything."""
    return (2,) * has_alpha + (0,) * (planes - has_alpha)


def with_tags(data: bytes, exif: bytes | None, extra_samples: tuple[int, ...]) -> bytes:
    """`add_tags` for a file in memory."""
    file = io.BytesIO(data)
    add_tags(file, exif, extra_samples)
    return file.getvalue()


def add_tags(file: BinaryIO, exif: bytes | None, extra_samples: tuple[int, ...]) -> None:
    """Give a TIFF file of one page EXIF, and say what its bands beyond the colours are.

    libvips writes no EXIF and calls every further band alpha. A new directory at the end of the file takes the
    place of the one it wrote; all that this one points to stays where it is.

    Args:
        file: little-endian, open for reading and writing.
        exif: a block.
        extra_samples: for each band beyond the colours 2 for alpha, 0 for anything else.
    """
    file.seek(0)
    header = file.read(16)
    big = is_big(header)
    header = header[: 16 if big else 8]
    added = ImageFileDirectory_v2(header)
    if extra_samples:
        added[_EXTRA_SAMPLES] = extra_samples
    if exif is not None:
        for tag, value in lasting_tags(read_exif(exif)).items():
            added[tag] = value
    if not len(added):
        return
    pointer = "<Q" if big else "<I"
    place = len(header) - struct.calcsize(pointer)
    entries = _entries(file, struct.unpack_from(pointer, header, place)[0], big)
    start = _even(file.seek(0, io.SEEK_END))
    block = added.tobytes(start)
    end = _even(start + len(block))
    entries |= _entries(io.BytesIO(block), 0, big)
    directory = struct.pack("<Q" if big else "<H", len(entries))
    directory += b"".join(entry for _, entry in sorted(entries.items())) + struct.pack(pointer, 0)
    # What lies between is filled up with zeros; the header is last, until when the file is as it was.
    file.seek(start)
    file.write(block.ljust(end - start, b"\0") + directory)
    file.seek(place)
    file.write(struct.pack(pointer, end))


def _entries(file: BinaryIO, offset: int, big: bool) -> dict[int, bytes]:
    """The entries of the directory at `offset` by tag, as they stand."""
    file.seek(offset)
    (count,) = struct.unpack("<Q" if big else "<H", file.read(8 if big else 2))
    entries = (file.read(20 if big else 12) for _ in range(count))
    return {struct.unpack_from("<H", entry)[0]: entry for entry in entries}


def _even(place: int) -> int:
    """Directories begin on even offsets."""
    return place + place % 2
