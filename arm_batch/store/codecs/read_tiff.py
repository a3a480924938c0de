"""Reading TIFF with libvips: any depth, floats, tiles, pages, and bands beyond the colours.

OpenCV reads samples of 64 bits, of which libvips knows nothing.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from functools import partial

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from arm_batch.core.imaging import Reading
from arm_batch.errors import ImageError
from arm_batch.store.codecs.colour import Model
from arm_batch.store.codecs.metadata import exif_of_tags, exif_of_tiff, is_big
from arm_batch.store.codecs.opencv import decode_page
from arm_batch.store.codecs.planes_apart import has_tiled_planes, open_planes
from arm_batch.store.codecs.samples import Samples, check_size, choose_frame
from arm_batch.store.codecs.vips import get_blob, open_tiff, to_array

_WIDTH, _HEIGHT, _BITS, _EXTRA_SAMPLES, _XMP, _ICC = 256, 257, 258, 338, 700, 34675
_TILE_WIDTH = 322
_ALPHA = (1, 2)
_STRAIGHT_ALPHA = 2

_BITS_OF_VIPS = 32

_Found = tuple[ImageFileDirectory_v2, int]
"""The tags of a page, and where they begin."""

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
    directories = _directories(data)
    directory, offset = _next(directories)
    if max(directory.get(_BITS, (1,))) > _BITS_OF_VIPS:
        return _read_wide(data, [directory, *(later for later, _ in directories)], reading)
    first = open_tiff(data, 0)
    index, notes = choose_frame(first.get("n-pages") if first.get_typeof("n-pages") else 1, reading)
    for _ in range(index):
        directory, offset = _next(directories)
    # Missing strips are errors to libvips, missing tiles warnings. Of strips it also warns where nothing is wrong.
    image = open_tiff(data, index, "warning" if _TILE_WIDTH in directory else "error")
    check_size(image.width, image.height, reading, image.bands)
    shown, space = image, image.interpretation
    if has_tiled_planes(directory):
        shown = open_planes(data, directory, _new_directory(data)).copy(interpretation=space)
    if space in _LAB:
        notes = (*notes, "Lab, converted to sRGB")
        shown = shown.colourspace(_LAB[space])
    extras = directory.get(_EXTRA_SAMPLES, ())
    return Samples(
        bands=to_array(shown),
        model=_MODELS.get(shown.interpretation, "grey"),
        has_alpha=bool(extras) and extras[0] in _ALPHA,
        format="tiff",
        icc=get_blob(image, "icc-profile-data"),
        exif=_exif_reader(data, directory, offset),
        xmp=get_blob(image, "xmp-data"),
        notes=notes,
    )


def _read_wide(data: bytes, directories: list[ImageFileDirectory_v2], reading: Reading) -> Samples:
    index, notes = choose_frame(len(directories), reading)
    directory = directories[index]
    check_size(directory[_WIDTH], directory[_HEIGHT], reading)
    bands = decode_page(data, index)
    extras = directory.get(_EXTRA_SAMPLES, ())
    return Samples(
        bands=bands,
        model="grey" if bands.shape[2] < 3 else "rgb",
        has_alpha=extras == (_STRAIGHT_ALPHA,),
        format="tiff",
        icc=directory.get(_ICC),
        exif=partial(exif_of_tags, directory),
        xmp=directory.get(_XMP),
        notes=notes,
    )


def _next(directories: Iterator[_Found]) -> _Found:
    found = next(directories, None)
    if found is None:
        raise ImageError("cannot be decoded: its directory is missing")
    return found


def _exif_reader(data: bytes, directory: ImageFileDirectory_v2, offset: int) -> Callable[[], Image.Exif]:
    # Of a big-endian BigTIFF file Pillow reads no EXIF by itself.
    if is_big(data) and data[:1] == b"M":
        return partial(exif_of_tags, directory)
    return partial(exif_of_tiff, data, offset)


def _directories(data: bytes) -> Iterator[_Found]:
    """The tags of each page, and where they begin."""
    offset = _new_directory(data).next
    stream = io.BytesIO(data)
    seen: set[int] = set()
    try:
        while offset and offset not in seen:
            seen.add(offset)
            stream.seek(offset)
            directory = _new_directory(data)
            directory.load(stream)
            yield directory, offset
            offset = directory.next
    except (OSError, struct.error, ValueError) as error:
        raise ImageError("cannot be decoded: its tags are broken") from error


def _new_directory(data: bytes) -> ImageFileDirectory_v2:
    """One without tags for a file, of its kind and byte order, which knows where the first is."""
    # Pillow looks for the number that tells BigTIFF where it is in little-endian files, whatever the order.
    header = b"II\x2b\0" + data[4:16] if is_big(data) else data[:8]
    return ImageFileDirectory_v2(header, prefix=data[:2])
