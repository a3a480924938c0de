"""libvips, set up in one place: one thread, nothing cached, nothing said; arrays in and out."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from arm_batch.core.tiles import Pixels

# Set, whatever to, it keeps warnings to itself; it is read once, on loading. What counts comes as errors.
os.environ.setdefault("VIPS_WARNING", "0")

import pyvips

# A cluster's parallelism is its workers.
pyvips.concurrency_set(1)
pyvips.cache_set_max(0)
# Log messages may quote a broken file, and pyvips's handler fails on what is not UTF-8, saying so at length.
if (remove_log_handler := getattr(pyvips, "_remove_log_handler", None)) is not None:
    remove_log_handler()

VipsError = pyvips.Error

Vips = Any
"""A ``pyvips.Image``."""

_FORMATS = {np.dtype(np.uint8): "uchar", np.dtype(np.uint16): "ushort"}


def open_png(data: bytes) -> Vips:
    """A PNG file; pixels are read when they are asked for, and what is missing of them is a `VipsError`."""
    _forget_errors()
    return pyvips.Image.pngload_buffer(data, fail_on="error")


def open_tiff(data: bytes, page: int, fail_on: str = "error") -> Vips:
    """A page of a TIFF file; ``error`` fails for what is missing of strips, ``warning`` also of tiles."""
    _forget_errors()
    return pyvips.Image.tiffload_buffer(data, page=page, fail_on=fail_on)


def open_jpeg(data: bytes, fail_on: str) -> Vips:
    """A JPEG file; ``error`` fails for what is missing of it, ``warning`` for whatever libjpeg finds odd too."""
    _forget_errors()
    return pyvips.Image.jpegload_buffer(data, fail_on=fail_on)


def _forget_errors() -> None:
    """What libvips has found odd in an earlier file, and passed over, is no part of what it says of this one."""
    pyvips.vips_lib.vips_error_clear()


def from_array(array: Pixels, interpretation: str) -> Vips:
    """An image over an array ``(h, w, n)`` of uint8 or uint16, contiguous, which must stay as it is.

    Args:
        array: the samples.
        interpretation: ``grey``, ``rgb`` or ``cmyk``; what is beyond counts as alpha.
    """
    height, width, bands = array.shape
    deep = array.dtype == np.uint16
    names = {"grey": "grey16" if deep else "b-w", "rgb": "rgb16" if deep else "srgb", "cmyk": "cmyk"}
    image = pyvips.Image.new_from_memory(array.data, width, height, bands, _FORMATS[array.dtype])
    return image.copy(interpretation=names[interpretation])


def to_array(image: Vips) -> Pixels:
    """The samples ``(h, w, n)``, writable."""
    array = np.array(image.numpy())
    return array.reshape(image.height, image.width, image.bands)


def get_blob(image: Vips, name: str) -> bytes | None:
    """A piece of metadata."""
    return bytes(image.get(name)) if image.get_typeof(name) else None


def set_blob(image: Vips, name: str, value: bytes | None) -> None:
    """Attach a piece of metadata, if there is one."""
    if value is not None:
        image.set_type(pyvips.GValue.blob_type, name, value)
