"""Kinds of TIFF that libvips knows nothing of, and who reads them in its place."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from arm_batch.core.arrays import Pixels
from arm_batch.errors import ImageError
from arm_batch.images.opencv import decode_first

_BITS, _COMPRESSION = 258, 259
_OLD_JPEG, _LZMA, _ZSTANDARD = 6, 34925, 50000

_BITS_OF_VIPS = 32

_MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGBA", "I;16": "I;16", "F": "F"}
"""Of Pillow: what they become."""


@dataclass(frozen=True)
class Other:
    """Another reader.

    Attributes:
        what: it is there for.
        read: the samples ``(h, w, n)`` of the first page of a file, colours as RGB; raises `ImageError`, or what
            Pillow raises of broken files.
    """

    what: str
    read: Callable[[bytes], Pixels]


def other_reader(directory: ImageFileDirectory_v2) -> Other | None:
    """Who reads a page; None for libvips."""
    if max(directory.get(_BITS, (1,))) > _BITS_OF_VIPS:
        return Other("samples of 64 bits", decode_first)
    return _BY_COMPRESSION.get(directory.get(_COMPRESSION, 1))


def _read_old_jpeg(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        image.load()
        return _bands(image if image.mode == "L" else image.convert("RGB"))


def _read_any(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        if image.mode not in _MODES:
            raise ImageError(
                f"is a TIFF file with LZMA or Zstandard inside of a kind that is not read: {image.mode}"
            )
        image.load()
        wanted = _MODES[image.mode]
        return _bands(image if image.mode == wanted else image.convert(wanted))


def _bands(image: Image.Image) -> Pixels:
    bands = np.array(image)
    return bands.reshape(*bands.shape[:2], -1)


_BY_COMPRESSION = {
    _OLD_JPEG: Other("JPEG of the old style", _read_old_jpeg),
    _LZMA: Other("LZMA", _read_any),
    _ZSTANDARD: Other("Zstandard", _read_any),
}
