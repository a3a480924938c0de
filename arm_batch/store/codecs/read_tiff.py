"""Reading TIFF with libvips: any depth, floats, tiles, pages, and bands beyond the colours.

OpenCV reads samples of 64 bits, of which libvips knows nothing.
"""

from __future__ import annotations

import io
from typing import BinaryIO

from arm_batch.core.imaging import Reading
from arm_batch.store.codecs.colour import Model
from arm_batch.store.codecs.opencv import decode_page
from arm_batch.store.codecs.planes_apart import has_tiled_planes, open_planes
from arm_batch.store.codecs.samples import Samples, check_size, choose_frame
from arm_batch.store.codecs.tiff_directories import (
    Found,
    exif_reader,
    new_directory,
    read_directories,
    read_directory,
)
from arm_batch.store.codecs.vips import Vips, get_blob, open_tiff, to_array

_WIDTH, _HEIGHT, _BITS, _TILE_WIDTH, _XMP, _ICC = 256, 257, 258, 322, 700, 34675

EXTRA_SAMPLES = 338
ALPHA = (1, 2)
_STRAIGHT_ALPHA = 2

_BITS_OF_VIPS = 32

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
    stream = io.BytesIO(data)
    directory, _ = read_directory(stream, 0)
    if max(directory.get(_BITS, (1,))) > _BITS_OF_VIPS:
        return _read_wide(data, stream, list(read_directories(stream)), reading)
    first = open_tiff(data, 0)
    index, notes = choose_frame(first.get("n-pages") if first.get_typeof("n-pages") else 1, reading)
    found = directory, _ = read_directory(stream, index)
    # Missing strips are errors to libvips, missing tiles warnings. Of strips it also warns where nothing is wrong.
    image = open_tiff(data, index, "warning" if _TILE_WIDTH in directory else "error")
    check_size(image.width, image.height, reading, image.bands)
    shown = image
    if has_tiled_planes(directory):
        shown = open_planes(data, directory, new_directory(data)).copy(interpretation=image.interpretation)
    shown, more = in_known_colours(shown)
    extras = directory.get(EXTRA_SAMPLES, ())
    return Samples(
        bands=to_array(shown),
        model=MODELS.get(shown.interpretation, "grey"),
        has_alpha=bool(extras) and extras[0] in ALPHA,
        format="tiff",
        icc=get_blob(image, "icc-profile-data"),
        is_srgb=bool(more),
        exif=exif_reader(stream, found),
        xmp=get_blob(image, "xmp-data"),
        notes=(*notes, *more),
    )


def in_known_colours(image: Vips) -> tuple[Vips, tuple[str, ...]]:
    """The image in colours of `MODELS`, and a note where it was in others."""
    if image.interpretation not in _LAB:
        return image, ()
    return image.colourspace(_LAB[image.interpretation]), ("Lab, converted to sRGB",)


def _read_wide(data: bytes, stream: BinaryIO, pages: list[Found], reading: Reading) -> Samples:
    index, notes = choose_frame(len(pages), reading)
    directory, _ = found = pages[index]
    check_size(directory[_WIDTH], directory[_HEIGHT], reading)
    bands = decode_page(data, index)
    extras = directory.get(EXTRA_SAMPLES, ())
    return Samples(
        bands=bands,
        model="grey" if bands.shape[2] < 3 else "rgb",
        has_alpha=extras == (_STRAIGHT_ALPHA,),
        format="tiff",
        icc=directory.get(_ICC),
        exif=exif_reader(stream, found),
        xmp=directory.get(_XMP),
        notes=notes,
    )
