"""What a file says of its pixels before any of them is decoded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import BinaryIO

import numpy as np
from PIL import Image

from arm_batch.store.codecs.metadata import plausible_dpi, read_exif
from arm_batch.store.codecs.read_tiff import ALPHA, EXTRA_SAMPLES, MODELS
from arm_batch.store.codecs.samples import Samples
from arm_batch.store.codecs.tiff_directories import exif_reader, read_directory
from arm_batch.store.codecs.vips import Vips, dtype_of, get_blob

ReadExif = Callable[[], Image.Exif]

_MM_PER_INCH = 25.4
_HEAD_BYTES = 1 << 16
"""Of a PNG file: what comes before its pixels, all but very long profiles."""


def header_of(image: Vips, stream: BinaryIO, format: str, page: int, notes: tuple[str, ...]) -> Samples:
    """One black pixel of an image, with all else that its file holds.

    Args:
        image: as libvips has opened it.
        stream: the file.
        format: ``tiff``, ``png`` or ``jpeg``.
        page: of a TIFF file.
        notes: of what was opened.
    """
    exif: ReadExif = partial(read_exif, get_blob(image, "exif-data") or b"")
    has_alpha, dpi = False, None
    if format == "tiff":
        exif, has_alpha = _of_tiff(stream, page)
    elif format == "png":
        has_alpha = image.bands in (2, 4)
    if format == "jpeg" or (format == "png" and _has_density(stream)):
        dpi = plausible_dpi(image.xres * _MM_PER_INCH, image.yres * _MM_PER_INCH)
    return Samples(
        bands=np.zeros((1, 1, image.bands), dtype_of(image)),
        model=MODELS.get(image.interpretation, "grey"),
        has_alpha=has_alpha,
        format=format,
        icc=get_blob(image, "icc-profile-data"),
        exif=exif,
        xmp=get_blob(image, "xmp-data"),
        dpi=dpi,
        notes=notes,
    )


def _of_tiff(stream: BinaryIO, page: int) -> tuple[ReadExif, bool]:
    found = directory, _ = read_directory(stream, page)
    extras = directory.get(EXTRA_SAMPLES, ())
    return exif_reader(stream, found), bool(extras) and extras[0] in ALPHA


def _has_density(stream: BinaryIO) -> bool:
    """Whether a PNG file tells its density: libvips makes one up where it does not."""
    stream.seek(0)
    head = stream.read(_HEAD_BYTES)
    return head.find(b"pHYs", 0, max(0, head.find(b"IDAT"))) >= 0
