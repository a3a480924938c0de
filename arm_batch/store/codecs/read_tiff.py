"""Reading TIFF with libvips: any depth, floats, tiles, pages, and bands beyond the colours."""

from __future__ import annotations

import io
import struct
from functools import partial

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from arm_batch.core.imaging import Reading
from arm_batch.errors import ImageError
from arm_batch.store.codecs.colour import Model
from arm_batch.store.codecs.metadata import exif_of_tiff, is_big
from arm_batch.store.codecs.samples import Samples, check_size, choose_frame
from arm_batch.store.codecs.vips import get_blob, open_tiff, to_array

_EXTRA_SAMPLES = 338
_ALPHA = (1, 2)

_MODELS: dict[str, Model] = {
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
    if image.interpretation in _LAB:
        notes = (*notes, "Lab, converted to sRGB")
        image = image.colourspace(_LAB[image.interpretation])
    model = _MODELS.get(image.interpretation, "grey")
    directory, offset = _directory(data, index)
    extras = directory.get(_EXTRA_SAMPLES, ())
    return Samples(
        bands=to_array(image),
        model=model,
        has_alpha=bool(extras) and extras[0] in _ALPHA,
        format="tiff",
        icc=get_blob(image, "icc-profile-data"),
        exif=partial(exif_of_tiff, data, offset),
        xmp=get_blob(image, "xmp-data"),
        notes=notes,
    )


def _directory(data: bytes, page: int) -> tuple[ImageFileDirectory_v2, int]:
    """The tags of a page, and where they begin."""
    directory = ImageFileDirectory_v2(data[: 16 if is_big(data) else 8])
    stream = io.BytesIO(data)
    try:
        for _ in range(page + 1):
            offset = directory.next
            stream.seek(offset)
            directory.load(stream)
    except (OSError, struct.error, ValueError) as error:
        raise ImageError("cannot be decoded: its tags are broken") from error
    return directory, offset
