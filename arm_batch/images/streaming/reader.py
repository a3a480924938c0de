"""Reading images from top to bottom, with libvips where they are too large to be decoded at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import BinaryIO

import numpy as np

from arm_batch.core.arrays import Array, Pixels
from arm_batch.core.image_options import Reading
from arm_batch.core.large_images import LargeImages
from arm_batch.core.tiling.alpha import fill_hidden
from arm_batch.errors import ImageError
from arm_batch.images import decode
from arm_batch.images.quiet import no_warnings
from arm_batch.images.read_jpeg import check_damage
from arm_batch.images.read_tiff import Opened, embedded_metadata, open_page
from arm_batch.images.reasons import reading_failed
from arm_batch.images.samples import Samples, check_size, choose_frame, orientation, to_picture
from arm_batch.images.sniff import sniff
from arm_batch.images.streaming.header import header_of
from arm_batch.images.streaming.probe import HEAD_BYTES, probe_size
from arm_batch.images.streaming.strips import Strips, of_picture
from arm_batch.images.streaming.vips_source import VipsSource
from arm_batch.images.streaming.window import Window
from arm_batch.images.tiff_pages import choose_page
from arm_batch.images.vips import STREAMED, VipsError, dtype_of, open_source, to_array

_STRIP_ROWS = 256
_STRIP_PX = 2**23
"""Of what is decoded at once: of wide images fewer rows."""


def open_strips(stream: BinaryIO, reading: Reading, large_images: LargeImages) -> Strips:
    """Open an image to be read from top to bottom.

    Images of at most `LargeImages.streamed` pixels are decoded at once, by `decode`. Larger ones are read in
    strips, as TIFF, PNG and JPEG allow, and then: their EXIF orientation is kept instead of applied; alpha is kept
    where it is opaque everywhere; and colours under full transparency are found within the strip.

    Args:
        stream: the file, seekable; in use as long as rows are read.
        reading: what is taken, and how.
        large_images: the limits.

    Raises:
        ImageError: as `decode`, here and when rows are read; and for what cannot be read in strips.
    """
    size = probe_size(stream, reading)
    if size is None or not large_images.has_input(*size):
        return of_picture(decode(stream.read(), reading))
    # Before any of it is decoded.
    check_size(size[1], size[0], reading)
    with no_warnings():
        return _streamed(stream, reading)


def _streamed(stream: BinaryIO, reading: Reading) -> Strips:
    format = sniff(stream.read(HEAD_BYTES))
    source = VipsSource(stream)
    with _damage_told(source):
        opened, found = _open(source, stream, format, reading)
    # It is asked for with each strip, as it may say what the colours are.
    found = replace(found, exif=cache(found.exif))
    # What becomes of one pixel becomes of all of them.
    picture = to_picture(replace(found, has_alpha=False), reading, turn=False)
    direction, notes = orientation(found), picture.notes
    if direction != 1:
        notes += (f"too large to be turned: its EXIF orientation, {direction}, is kept instead",)
    return Strips(
        height=opened.height,
        width=opened.width,
        colours=picture.pixels.shape[2],
        planes=picture.planes.shape[2],
        has_alpha=found.has_alpha,
        dtype=picture.pixels.dtype,
        metadata=picture.metadata,
        orientation=direction,
        format=format,
        notes=notes,
        rows=_rows(source, opened, found, reading),
    )


def _rows(source: VipsSource, opened: Opened, found: Samples, reading: Reading) -> Window:
    # Alpha that is opaque in one strip need not be in the next, so none is dropped.
    kept, image = replace(found, has_alpha=False, xmp=None), opened.image

    def read(start: int, stop: int) -> Pixels:
        with _damage_told(source):
            bands = opened.samples(to_array(image.crop(0, start, image.width, stop - start)))
        if found.format == "jpeg":
            check_damage()
        strip = to_picture(replace(kept, bands=bands), reading, turn=False)
        pixels = fill_hidden(strip.pixels, strip.planes[..., 0]) if found.has_alpha else strip.pixels
        return np.concatenate([pixels, strip.planes], axis=2) if strip.planes.shape[2] else pixels

    return Window(read, opened.height, max(1, min(_STRIP_ROWS, _STRIP_PX // opened.width)))


def _open(source: VipsSource, stream: BinaryIO, format: str, reading: Reading) -> tuple[Opened, Samples]:
    """The image, of which nothing is decoded yet, and what its header says."""
    if format not in STREAMED:
        raise ImageError(f"is too large for {format}: it can be read as TIFF, PNG or JPEG")
    if format == "tiff":
        return _open_tiff(source, stream, reading)
    image = open_source(source.source, format)
    if any(image.get_typeof(name) and image.get(name) for name in ("interlaced", "jpeg-multiscan")):
        raise ImageError(f"is too large for an interlaced {format}: it can be read without interlacing")
    check_size(image.width, image.height, reading, image.bands)
    _, notes = choose_frame(1, reading)
    found = header_of(image, stream, format, notes)
    return Opened(
        image=image,
        height=image.height,
        width=image.width,
        samples=_as_they_are,
        model=found.model,
        by_rows=True,
        notes=notes,
    ), found


def _open_tiff(source: VipsSource, stream: BinaryIO, reading: Reading) -> tuple[Opened, Samples]:
    page = choose_page(stream, reading)
    opened = open_page(stream, page, lambda patch, number: open_source(source.patched(patch), "tiff", number))
    if not opened.by_rows:
        raise ImageError("is too large for a TIFF file with samples in unusual blocks or tiles")
    check_size(opened.width, opened.height, reading, opened.image.bands)
    black = np.zeros((1, opened.image.width, opened.image.bands), dtype_of(opened.image))
    bands = opened.samples(black)[:, :1]
    return opened, embedded_metadata(stream, page, bands, opened.model, opened.notes)


def _as_they_are(rows: Array) -> Array:
    return rows


@contextmanager
def _damage_told(source: VipsSource) -> Iterator[None]:
    """Errors of libvips as `ImageError`, unless the stream itself failed: then what it raised."""
    try:
        yield
    except VipsError as error:
        source.check()
        raise ImageError(reading_failed(error)) from error
    source.check()
