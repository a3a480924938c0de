"""Which page of a TIFF file is its image: never a thumbnail, a reduced copy or a mask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from arm_batch.core.image_options import Reading
from arm_batch.errors import ImageError
from arm_batch.images.samples import choose_frame
from arm_batch.images.tiff_directories import Found, read_directories, read_directory

_WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 256, 257, 259, 262, 277
_KIND, _OLD_KIND = 254, 255
_BELOW = 330

_REDUCED, _MASK = 1, 4
"""Bits of a kind."""

_OLD_REDUCED = 2

_WHITE_IS_0, _BLACK_IS_0, _RGB = 0, 1, 2
_OF_FAX = (2, 3, 4)
"""Compressions."""

_OF_SENSORS = (32803, 34892)
"""Photometric interpretations: a colour filter array, and what was interpolated from one."""

_CANON = b"CR"
_HEADER = 16

_MOST_BELOW = 64


_Picture = tuple[Found, Found]
"""A directory, and the one above it: the same, where it is of the chain."""


class _Pictures(NamedTuple):
    """What a file shows.

    Attributes:
        full: pictures at their full resolution, one for a page of the chain, or those below it.
        reduced: pictures that are marked so.
        masks: how many there are.
    """

    full: list[_Picture]
    reduced: list[_Picture]
    masks: int


@dataclass(frozen=True)
class Page:
    """What was chosen of a file.

    Attributes:
        found: its directory, and where that begins.
        camera: the directory that says what is beside the pixels: the same, or the one above it.
        notes: for the user.
    """

    found: Found
    camera: Found
    notes: tuple[str, ...]


def choose_page(stream: BinaryIO, reading: Reading) -> Page:
    """The page that is asked for, of those that show something at its full resolution.

    Where a page is marked as a reduced picture or a mask, the pictures below it count in its place. Where nothing
    else is there, reduced pictures do.

    Raises:
        ImageError: it is refused or not there; the file is broken, or holds what a sensor has measured.
    """
    stream.seek(0)
    if stream.read(_HEADER)[8:10] == _CANON:
        raise ImageError(_raw())
    pictures = _list_pictures(stream)
    pages = pictures.full or sorted(pictures.reduced, key=_pixels)[-1:]
    if not pages:
        raise ImageError("cannot be decoded: its directory is missing")
    index, told = choose_frame(len(pages), reading)
    found, camera = pages[index]
    if not (_WIDTH in found[0] and _HEIGHT in found[0]):
        raise ImageError("cannot be decoded: its directory is broken or missing")
    return Page(found, camera, (*told, *_give_colours(found), *_what_is_missed(pictures)))


def _list_pictures(stream: BinaryIO) -> _Pictures:
    """All pictures of a file, by what they are.

    Raises:
        ImageError: the file is broken, or one of them is what a sensor has measured.
    """
    full: list[_Picture] = []
    reduced: list[_Picture] = []
    masks = 0
    for found in _directories(stream):
        pictures = [(found, found), *((below, found) for below in _below(stream, found))]
        if any(picture[0].get(_PHOTOMETRIC) in _OF_SENSORS for picture, _ in pictures):
            raise ImageError(_raw())
        kinds = [_kind(picture) for picture, _ in pictures]
        masks += kinds.count(_MASK)
        reduced += [picture for picture, kind in zip(pictures, kinds, strict=True) if kind == _REDUCED]
        shown = [picture for picture, kind in zip(pictures, kinds, strict=True) if kind == 0]
        # What is below a full picture without being called reduced is another form of it: the largest counts.
        full += [max(shown, key=_pixels)] if kinds[0] == 0 else shown
    return _Pictures(full, reduced, masks)


def _give_colours(found: Found) -> tuple[str, ...]:
    """Write a guess into a directory that does not say what its colours are; returns the note on it."""
    if _PHOTOMETRIC in found[0]:
        return ()
    found[0][_PHOTOMETRIC], guessed = _guessed(found)
    return (f"it does not say what its colours are: taken for {guessed}",)


def _what_is_missed(pictures: _Pictures) -> Iterator[str]:
    """Notes on what a file has not, or what is not shown of it."""
    if not pictures.full:
        yield "holds nothing but a reduced picture"
    if pictures.masks:
        yield "its transparency mask is left out"


def _guessed(found: Found) -> tuple[int, str]:
    """A photometric interpretation for a directory that has none, and what it is called."""
    directory, _ = found
    if directory.get(_COMPRESSION, 1) in _OF_FAX:
        return _WHITE_IS_0, "black on white"
    return (_RGB, "RGB") if directory.get(_SAMPLES, 1) >= len("RGB") else (_BLACK_IS_0, "grey")


def _raw() -> str:
    return "is a camera's raw file: what its sensor has measured must be developed first"


def _directories(stream: BinaryIO) -> Iterator[Found]:
    """Those of the chain, up to one that is broken unless it is the first."""
    count = 0
    try:
        for found in read_directories(stream):
            count += 1
            yield found
    except ImageError:
        if not count:
            raise


def _below(stream: BinaryIO, found: Found) -> list[Found]:
    """The directories below one, but for those that are broken."""
    offsets = found[0].get(_BELOW, ())
    sound = []
    for offset in (offsets if isinstance(offsets, tuple) else (offsets,))[:_MOST_BELOW]:
        try:
            below = read_directory(stream, offset)
        except ImageError:
            continue
        if _WIDTH in below[0] and _HEIGHT in below[0]:
            sound.append(below)
    return sound


def _kind(found: Found) -> int:
    """`_REDUCED`, `_MASK`, or 0 for an image."""
    directory, _ = found
    kind = directory.get(_KIND, 0)
    kind = kind if isinstance(kind, int) else 0
    if kind & _MASK or directory.get(_PHOTOMETRIC) == _MASK:
        return _MASK
    return _REDUCED if kind & _REDUCED or directory.get(_OLD_KIND) == _OLD_REDUCED else 0


def _pixels(picture: _Picture) -> int:
    directory, _ = picture[0]
    return int(directory.get(_WIDTH, 0)) * int(directory.get(_HEIGHT, 0))
