"""Reading TIFF with libvips: any depth, floats, tiles, pages, and bands beyond the colours."""

from __future__ import annotations

import io
import struct
from functools import partial
from typing import BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from arm_batch.core.imaging import Reading
from arm_batch.errors import ImageError
from arm_batch.store.codecs.colour import Model
from arm_batch.store.codecs.metadata import exif_of_tiff, is_big
from arm_batch.store.codecs.samples import Samples, check_size, choose_frame
from arm_batch.store.codecs.vips import Vips, get_blob, open_tiff, to_array

EXTRA_SAMPLES = 338
ALPHA = (1, 2)

MODELS: dict[str, Model] = {
    "b-w": "grey",
    "grey16": "grey",
    "srgb": "rgb",
    "rgb16": "rgb",
    "scrgb": "rgb",
    "cmyk": "cmyk",
}
"""What else there is (inks, instruments) counts as grey with further bands."""

_LAB = {"lab": "srgb", "labs": "rgb16"}
"""What it becomes, in as many bits."""


def read_tiff(data: bytes, reading: Reading) -> Samples:
    """Samples of one page of a TIFF file.

    Raises:
        ImageError: it is refused.
        VipsError: it is broken, or of a kind that libvips does not read.
    """
    first = open_tiff(data, 0)
    index, notes = choose_frame(first.get("n-pages") if first.get_typeof("n-pages") else 1, reading)
    image = open_tiff(data, index)
    check_size(image.width, image.height, reading, image.bands)
    image, more = in_known_colours(image)
    model = MODELS.get(image.interpretation, "grey")
    stream = io.BytesIO(data)
    directory, offset = read_directory(stream, index)
    extras = directory.get(EXTRA_SAMPLES, ())
    return Samples(
        bands=to_array(image),
        model=model,
        has_alpha=bool(extras) and extras[0] in ALPHA,
        format="tiff",
        icc=get_blob(image, "icc-profile-data"),
        exif=partial(exif_of_tiff, stream, offset),
        xmp=get_blob(image, "xmp-data"),
        notes=(*notes, *more),
    )


def in_known_colours(image: Vips) -> tuple[Vips, tuple[str, ...]]:
    """The image in colours of `MODELS`, and a note where it was in others."""
    if image.interpretation not in _LAB:
        return image, ()
    return image.colourspace(_LAB[image.interpretation]), ("Lab, converted to sRGB",)


def read_directory(stream: BinaryIO, page: int) -> tuple[ImageFileDirectory_v2, int]:
    """The tags of a page of a TIFF file, and where they begin; `ImageError` where they are broken."""
    try:
        stream.seek(0)
        header = stream.read(16)
        directory = ImageFileDirectory_v2(header[: 16 if is_big(header) else 8])
        for _ in range(page + 1):
            offset = directory.next
            stream.seek(offset)
            directory.load(stream)
    except (OSError, struct.error, ValueError) as error:
        raise ImageError("cannot be decoded: its tags are broken") from error
    return directory, offset
