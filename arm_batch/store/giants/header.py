"""What a file says of its pixels before any of them is decoded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import BinaryIO

import numpy as np

from arm_batch.store.codecs.exif import Exif, parse_block
from arm_batch.store.codecs.png_chunks import Told, read_told
from arm_batch.store.codecs.read_jpeg import JFIF_BYTES, density
from arm_batch.store.codecs.read_tiff import ALPHA, EXTRA_SAMPLES, MODELS
from arm_batch.store.codecs.samples import Samples
from arm_batch.store.codecs.tiff_directories import exif_reader, read_directory
from arm_batch.store.codecs.vips import Vips, dtype_of, get_blob

ReadExif = Callable[[], Exif]


def header_of(image: Vips, stream: BinaryIO, format: str, page: int, notes: tuple[str, ...]) -> Samples:
    """One black pixel of an image, with all else that its file holds.

    Args:
        image: as libvips has opened it.
        stream: the file.
        format: ``tiff``, ``png`` or ``jpeg``.
        page: of a TIFF file.
        notes: of what was opened.
    """
    told: Told | None = None
    exif: ReadExif = partial(parse_block, get_blob(image, "exif-data") or b"")
    has_alpha, dpi = False, None
    if format == "tiff":
        exif, has_alpha = _of_tiff(stream, page)
    elif format == "png":
        told = read_told(partial(_read_at, stream))
        exif, has_alpha, dpi = partial(parse_block, told.exif), image.bands in (2, 4), told.dpi
    else:
        dpi = density(_read_at(stream, 0, JFIF_BYTES))
    return Samples(
        bands=np.zeros((1, 1, image.bands), dtype_of(image)),
        model=MODELS.get(image.interpretation, "grey"),
        has_alpha=has_alpha,
        format=format,
        icc=told.icc if told else get_blob(image, "icc-profile-data"),
        space=told.space if told else None,
        exif=exif,
        xmp=told.xmp if told else get_blob(image, "xmp-data"),
        dpi=dpi,
        notes=notes,
    )


def _of_tiff(stream: BinaryIO, page: int) -> tuple[ReadExif, bool]:
    found = directory, _ = read_directory(stream, page)
    extras = directory.get(EXTRA_SAMPLES, ())
    return exif_reader(stream, found), bool(extras) and extras[0] in ALPHA


def _read_at(stream: BinaryIO, start: int, size: int) -> bytes:
    stream.seek(start)
    return stream.read(size)
