"""What a file says of its pixels before any of them is decoded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import BinaryIO

import numpy as np

from arm_batch.images.read_jpeg import JFIF_BYTES, density, read_comments
from arm_batch.images.read_tiff import MODELS
from arm_batch.images.samples import IPTC_LOST, Samples
from arm_batch.images.vips import Vips, dtype_of, get_blob
from arm_batch.metadata.exif import Exif, parse_block
from arm_batch.metadata.png_chunks import Told, read_told

ReadExif = Callable[[], Exif]


def header_of(image: Vips, stream: BinaryIO, format: str, notes: tuple[str, ...]) -> Samples:
    """One black pixel of a PNG or JPEG file, with all else that it holds.

    Args:
        image: as libvips has opened it.
        stream: the file.
        format: ``png`` or ``jpeg``.
        notes: of what was opened.
    """
    told: Told | None = None
    read = partial(_read_at, stream)
    exif: ReadExif = partial(parse_block, get_blob(image, "exif-data") or b"")
    if format == "png":
        told = read_told(read)
        exif, dpi = partial(parse_block, told.exif), told.dpi
    else:
        dpi = density(read(0, JFIF_BYTES))
    return Samples(
        bands=np.zeros((1, 1, image.bands), dtype_of(image)),
        model=MODELS.get(image.interpretation, "grey"),
        has_alpha=format == "png" and image.bands in (2, 4),
        format=format,
        icc=told.icc if told else get_blob(image, "icc-profile-data"),
        space=told.space if told else None,
        exif=exif,
        xmp=told.xmp if told else get_blob(image, "xmp-data"),
        dpi=dpi,
        texts=told.kept if told else read_comments(read),
        notes=(*notes, IPTC_LOST) if get_blob(image, "iptc-data") else notes,
    )


def _read_at(stream: BinaryIO, start: int, size: int) -> bytes:
    stream.seek(start)
    return stream.read(size)
