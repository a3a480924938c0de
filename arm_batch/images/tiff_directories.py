"""The directories of a TIFF file: the tags of its pages."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from arm_batch.errors import ImageError
from arm_batch.metadata.exif import WANTED_OF_TIFF, Exif, parse_tiff
from arm_batch.metadata.metadata import is_big

_HEADER = 16
"""Bytes of that of BigTIFF; the other one is shorter."""

Found = tuple[ImageFileDirectory_v2, int]
"""The tags of a page, and where they begin."""


def read_directories(stream: BinaryIO) -> Iterator[Found]:
    """The directories of all pages, each once; `ImageError` where one is broken."""
    stream.seek(0)
    offset = new_directory(stream.read(_HEADER)).next
    seen: set[int] = set()
    while offset and offset not in seen:
        seen.add(offset)
        found = directory, _ = read_directory(stream, offset)
        yield found
        offset = directory.next


def read_directory(stream: BinaryIO, offset: int) -> Found:
    """The directory that begins there; `ImageError` where it is broken."""
    stream.seek(0)
    directory = new_directory(stream.read(_HEADER))
    try:
        stream.seek(offset)
        directory.load(stream)
    except (OSError, struct.error, ValueError, TypeError) as error:
        raise ImageError("cannot be decoded: its tags are broken") from error
    return directory, offset


def new_directory(header: bytes) -> ImageFileDirectory_v2:
    """One without tags for a file, of its kind and byte order, which knows where the first is.

    Args:
        header: what the file begins with, at least 16 bytes.
    """
    # Pillow looks for the number that tells BigTIFF where it is in little-endian files, whatever the order.
    start = b"II\x2b\0" + header[4:_HEADER] if is_big(header) else header[:8]
    return ImageFileDirectory_v2(start, prefix=header[:2])


def exif_reader(stream: BinaryIO, found: Found) -> Callable[[], Exif]:
    """Reads the tags of a page as EXIF."""
    return partial(parse_tiff, stream, found[1], WANTED_OF_TIFF)
