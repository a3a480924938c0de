"""Reading PNG: libvips keeps all depths, key colours and 16 bits as they are."""

from __future__ import annotations

import struct
from functools import partial

from arm_batch.core.imaging import Reading
from arm_batch.store.codecs.metadata import plausible_dpi, read_exif
from arm_batch.store.codecs.read_pillow import read_pillow
from arm_batch.store.codecs.samples import Samples, check_size, choose_frame
from arm_batch.store.codecs.vips import get_blob, open_png, to_array

_MM_PER_INCH = 25.4


def read_png(data: bytes, reading: Reading) -> Samples:
    """Samples of a PNG file; of an animated one a later frame is composed by Pillow, in 8 bits."""
    width, height = struct.unpack(">II", data[16:24].ljust(8, b"\0"))
    check_size(width, height, reading)
    index, notes = choose_frame(_count_frames(data), reading)
    if index > 0:
        return read_pillow(data, reading, "png")
    image = open_png(data)
    bands = to_array(image)
    physical = data.find(b"pHYs", 0, max(0, data.find(b"IDAT")))
    return Samples(
        bands=bands,
        model="grey" if bands.shape[2] < 3 else "rgb",
        has_alpha=bands.shape[2] in (2, 4),
        format="png",
        icc=get_blob(image, "icc-profile-data"),
        exif=partial(read_exif, get_blob(image, "exif-data") or b""),
        xmp=get_blob(image, "xmp-data"),
        dpi=plausible_dpi(image.xres * _MM_PER_INCH, image.yres * _MM_PER_INCH) if physical >= 0 else None,
        notes=notes,
    )


def _count_frames(data: bytes) -> int:
    """1 but for animated PNG, which says it in a chunk before the pixels."""
    control = data.find(b"acTL", 0, max(0, data.find(b"IDAT")))
    return max(1, struct.unpack(">I", data[control + 4 : control + 8])[0]) if control >= 0 else 1
