"""libvips, set up in one place: one thread, nothing cached, nothing said; arrays in and out."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from arm_batch.core.arrays import Pixels, Singles

# Set, whatever to, it keeps warnings to itself; it is read once, on loading. What counts comes as errors.
os.environ.setdefault("VIPS_WARNING", "0")

import pyvips
from pyvips.vimage import FORMAT_TO_TYPESTR

# A cluster's parallelism is its workers.
pyvips.concurrency_set(1)
pyvips.cache_set_max(0)
# Log messages may quote a broken file, and pyvips's handler fails on what is not UTF-8, saying so at length.
if (remove_log_handler := getattr(pyvips, "_remove_log_handler", None)) is not None:
    remove_log_handler()

VipsError = pyvips.Error

Vips = Any
"""A ``pyvips.Image``."""

_LOAD: dict[str, Callable[..., Vips]] = {
    "tiff": pyvips.Image.tiffload_source,
    "png": pyvips.Image.pngload_source,
    "jpeg": pyvips.Image.jpegload_source,
}

STREAMED = frozenset(_LOAD)
"""Formats that can be read in strips."""

_FORMATS = {np.dtype(np.uint8): "uchar", np.dtype(np.uint16): "ushort"}


def open_png(data: bytes) -> Vips:
    """A PNG file; pixels are read when they are asked for, and what is missing of them is a `VipsError`."""
    _forget_errors()
    return pyvips.Image.pngload_buffer(data, fail_on="error")


def open_tiff(data: bytes, page: int, fail_on: str = "error") -> Vips:
    """A page of a TIFF file; ``error`` fails for what is missing of strips, ``warning`` also of tiles."""
    _forget_errors()
    return pyvips.Image.tiffload_buffer(data, page=page, fail_on=fail_on)


def open_jpeg(data: bytes) -> Vips:
    """A JPEG file; of what is damaged within it see `oddities`."""
    _forget_errors()
    return pyvips.Image.jpegload_buffer(data, fail_on="error")


def oddities() -> list[str]:
    """What libvips has found odd since a file was opened, and passed over."""
    told: str = pyvips.ffi.string(pyvips.vips_lib.vips_error_buffer()).decode(errors="replace")
    return told.splitlines()


def _forget_errors() -> None:
    """What libvips has found odd in an earlier file, and passed over, is no part of what it says of this one."""
    pyvips.vips_lib.vips_error_clear()


def stream_source(read: Callable[[int], bytes | None], seek: Callable[[int, int], int]) -> Any:
    """A source for `open_source` over a file that Python reads.

    Args:
        read: gives so many bytes, or fewer; ``None`` at the end. It must not raise: that would get lost.
        seek: as of streams; -1 where it fails.
    """
    source = pyvips.SourceCustom()
    source.on_read(read)
    source.on_seek(seek)
    return source


def open_source(source: Any, format: str, page: int = 0) -> Vips:
    """A file in one of `STREAMED`, of which rows are read when they are asked for, once and from top to bottom."""
    _forget_errors()
    options = {"page": page} if format == "tiff" else {}
    image = _LOAD[format](source, access="sequential", fail_on="error", **options)
    if image.get_typeof("tile-width"):
        # As for `open_tiff`.
        image = _LOAD[format](source, access="sequential", fail_on="warning", **options)
    return image


def open_socket(descriptor: int) -> Vips:
    """A PNG file of any size that comes through a socket or pipe, read as by `open_source`."""
    source = pyvips.Source.new_from_descriptor(descriptor)
    return pyvips.Image.pngload_source(source, access="sequential", fail_on="error", unlimited=True)


def open_target(descriptor: int) -> Any:
    """Where a saver writes to a file from its current position on."""
    return pyvips.Target.new_to_descriptor(descriptor)


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


def from_lab(array: Singles) -> Vips:
    """An image over CIE L*a*b* ``(h, w, 3)``, contiguous, which must stay as it is."""
    height, width, bands = array.shape
    return pyvips.Image.new_from_memory(array.data, width, height, bands, "float").copy(interpretation="lab")


def to_array(image: Vips) -> Pixels:
    """The samples ``(h, w, n)``, writable."""
    array = np.array(image.numpy())
    return array.reshape(image.height, image.width, image.bands)


def dtype_of(image: Vips) -> np.dtype[Any]:
    """Of its samples."""
    name: str = FORMAT_TO_TYPESTR[image.format]
    return np.dtype(name)


def get_blob(image: Vips, name: str) -> bytes | None:
    """A piece of metadata."""
    return bytes(image.get(name)) if image.get_typeof(name) else None


def set_blob(image: Vips, name: str, value: bytes | None) -> None:
    """Attach a piece of metadata, if there is one."""
    if value is not None:
        image.set_type(pyvips.GValue.blob_type, name, value)
