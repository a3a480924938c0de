"""Reading PNG: libvips keeps all depths, key colours and 16 bits as they are."""

from __future__ import annotations

import struct
from dataclasses import replace
from functools import partial

from arm_batch.core.image_options import Reading
from arm_batch.images.read_pillow import read_pillow
from arm_batch.images.samples import Samples, check_size, choose_frame
from arm_batch.images.vips import open_png, to_array
from arm_batch.metadata.exif import parse_block
from arm_batch.metadata.png_chunks import read_told


def read_png(data: bytes, reading: Reading) -> Samples:
    """Samples of a PNG file; of an animated one a later frame is composed by Pillow, in 8 bits."""
    width, height = struct.unpack(">II", data[16:24].ljust(8, b"\0"))
    check_size(width, height, reading)
    told = read_told(lambda start, size: data[start : start + size])
    index, notes = choose_frame(told.frames, reading)
    if index > 0:
        return replace(read_pillow(data, reading, "png"), icc=told.icc, space=told.space, texts=told.kept)
    bands = to_array(open_png(data))
    return Samples(
        bands=bands,
        model="grey" if bands.shape[2] < 3 else "rgb",
        has_alpha=bands.shape[2] in (2, 4),
        format="png",
        icc=told.icc,
        space=told.space,
        exif=partial(parse_block, told.exif),
        xmp=told.xmp,
        dpi=told.dpi,
        texts=told.kept,
        notes=notes,
    )
