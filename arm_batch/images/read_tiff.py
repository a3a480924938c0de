"""Reading TIFF with libvips: any depth, floats, tiles, pages, and bands beyond the colours."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from arm_batch.core.arrays import Array
from arm_batch.core.image_options import Reading
from arm_batch.errors import ImageError
from arm_batch.images.colour import Model, vips_lab_to_srgb
from arm_batch.images.samples import IPTC_LOST, Samples, check_size
from arm_batch.images.tiff_colours import COLOURS, LAB, is_converted, meaning_of, straight
from arm_batch.images.tiff_directories import exif_reader
from arm_batch.images.tiff_entries import Patch, with_first
from arm_batch.images.tiff_others import other_reader
from arm_batch.images.tiff_pages import Page, choose_page
from arm_batch.images.tiff_storage import Open, is_plain, open_stored
from arm_batch.images.vips import Vips, open_tiff, to_array
from arm_batch.metadata.exif import Exif
from arm_batch.metadata.geotiff import read_geo, without_no_data

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _TILE_WIDTH = 256, 257, 258, 262, 277, 322
_EXTRA_SAMPLES, _XMP, _IPTC, _ICC = 338, 700, 33723, 34675

_ALPHA = (1, 2)
_PREMULTIPLIED, _STRAIGHT_ALPHA = 1, 2
_RGB = 2

MODELS: dict[str, Model] = {
    "b-w": "grey",
    "grey16": "grey",
    "srgb": "rgb",
    "rgb16": "rgb",
    "scrgb": "rgb",
    "cmyk": "cmyk",
}
"""What else there is (inks, instruments) counts as grey with further bands."""

_LAB = {"lab": 8, "labs": 16}
"""Bits that it becomes."""

GUESSED = "its fourth band is taken for alpha, as the file does not say what it is"


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A page of which nothing is decoded yet.

    Attributes:
        image: its rows as libvips reads them.
        height: px.
        width: px.
        samples: makes of rows ``(n, image.width, image.bands)`` the bands of `Samples`, ``(n, width, k)``.
        model: what the colours are.
        by_rows: whether `samples` takes rows by themselves; else it wants all of them.
        notes: for the user.
    """

    image: Vips
    height: int
    width: int
    samples: Callable[[Array], Array]
    model: Model
    by_rows: bool
    notes: tuple[str, ...]


def read_tiff(data: bytes, reading: Reading) -> Samples:
    """Samples of one page of a TIFF file.

    Raises:
        ImageError: it is refused, or of a kind that is not read.
        VipsError: it is broken, or of a kind that libvips does not read.
    """
    stream = io.BytesIO(data)
    page = choose_page(stream, reading)
    directory, offset = page.found
    check_size(*size_of(page), reading, int(directory.get(_SAMPLES, 1)))
    by_other = other_reader(directory)
    if by_other is not None:
        return _with_bands(stream, page, by_other.read(with_first(stream, offset).of(data)))
    patched: dict[Patch, bytes] = {}

    def open(patch: Patch, number: int) -> Vips:
        if patch not in patched:
            patched[patch] = patch.of(data)
        # Missing strips are errors to libvips, missing tiles warnings; of strips it also warns where nothing is
        # wrong.
        return open_tiff(patched[patch], number, "warning" if _TILE_WIDTH in directory else "error")

    opened = open_page(stream, page, open)
    check_size(opened.width, opened.height, reading, opened.image.bands)
    found = embedded_metadata(stream, page, opened.samples(to_array(opened.image)), opened.model, opened.notes)
    return _with_guessed_alpha(found, directory)


def size_of(page: Page) -> tuple[int, int]:
    """Width and height, px."""
    directory, _ = page.found
    return int(directory.get(_WIDTH, 0)), int(directory.get(_HEIGHT, 0))


def open_page(stream: BinaryIO, page: Page, open: Open) -> Opened:
    """A page as libvips reads it, or as it is made of what libvips reads.

    Args:
        stream: the file.
        page: of it.
        open: opens a page of the file so patched.

    Raises:
        ImageError: it is of a kind that is not read.
        VipsError: likewise.
    """
    directory, _ = page.found
    by_other = other_reader(directory)
    if by_other is not None:
        raise ImageError(f"is too large for a TIFF file with {by_other.what} inside")
    converted = is_converted(directory)
    plain = is_plain(directory) and not converted
    stored = open_stored(stream, page.found, open, as_rgb=converted)
    if plain:
        image, note = _in_known_colours(stored.image)
        model, convert = MODELS.get(image.interpretation, "grey"), None
    else:
        image, meaning = stored.image, meaning_of(directory)
        model, convert, note = meaning.model, meaning.convert, meaning.note
    steps = list(stored.steps)
    if not plain and directory.get(_EXTRA_SAMPLES, (0,))[0] == _PREMULTIPLIED:
        steps.append(partial(straight, COLOURS[model]))
    if convert is not None:
        steps.append(convert)
    notes = page.notes if note is None else (*page.notes, note)
    return Opened(
        image=image,
        height=stored.height,
        width=stored.width,
        samples=partial(_through, steps),
        model=model,
        by_rows=stored.by_rows,
        notes=notes,
    )


def embedded_metadata(stream: BinaryIO, page: Page, bands: Array, model: Model, notes: tuple[str, ...]) -> Samples:
    """What a page holds, given its pixels.

    Args:
        stream: the file.
        page: of it.
        bands: as of `Samples`.
        model: what the colours are.
        notes: for the user.
    """
    directory, _ = page.found
    passthrough = directory.get(_EXTRA_SAMPLES, ())
    return Samples(
        bands=bands,
        model=model,
        has_alpha=bool(passthrough) and passthrough[0] in _ALPHA,
        format="tiff",
        icc=None if LAB in notes else _blob(page, _ICC),
        is_srgb=LAB in notes,
        exif=exif_reader(stream, page.camera),
        xmp=_blob(page, _XMP),
        geo=_geo(stream, page),
        notes=(*notes, IPTC_LOST) if _IPTC in directory else notes,
    )


def _geo(stream: BinaryIO, page: Page) -> Exif | None:
    directory, offset = page.found
    geo = read_geo(stream, offset)
    bits = directory.get(_BITS, (1,))[0]
    # Of samples that are stretched the level of no data is another one.
    return without_no_data(geo) if geo is not None and bits % 8 else geo


def _through(steps: Sequence[Callable[[Array], Array]], rows: Array) -> Array:
    for step in steps:
        rows = step(rows)
    return rows


def _in_known_colours(image: Vips) -> tuple[Vips, str | None]:
    """The image in colours of `MODELS`, and a note where it was in others."""
    if image.interpretation not in _LAB:
        return image, None
    return vips_lab_to_srgb(image, _LAB[image.interpretation]), LAB


def _blob(page: Page, tag: int) -> bytes | None:
    """Of the page, or else of the one above it."""
    for directory, _ in (page.found, page.camera):
        value = directory.get(tag)
        if isinstance(value, bytes) and value:
            return value
    return None


def _with_bands(stream: BinaryIO, page: Page, bands: Array) -> Samples:
    """Of what other libraries have read, which leave alpha straight only where the file says so."""
    found = embedded_metadata(stream, page, bands, "grey" if bands.shape[2] < 3 else "rgb", page.notes)
    directory, _ = page.found
    return replace(found, has_alpha=directory.get(_EXTRA_SAMPLES, ()) == (_STRAIGHT_ALPHA,))


def _with_guessed_alpha(found: Samples, directory: ImageFileDirectory_v2) -> Samples:
    """A fourth band beside RGB of which the file says nothing is alpha, as to others, if it shows anything."""
    missing = _EXTRA_SAMPLES not in directory and directory.get(_PHOTOMETRIC) == _RGB
    if not missing or found.bands.shape[2] != 4 or found.model != "rgb" or not found.bands[..., 3].any():
        return found
    return replace(found, has_alpha=True, notes=(*found.notes, GUESSED))
