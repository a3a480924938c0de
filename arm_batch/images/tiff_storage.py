"""How the samples of a TIFF page lie in its file, where libvips does not read them so.

libtiff undoes the compression in any case: it is shown another directory, by which the same strips or tiles hold
grey bytes or single bands, and what it gives is taken apart here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from arm_batch.errors import ImageError
from arm_batch.images.tiff_chunks import Chunks, Step
from arm_batch.images.tiff_directories import Found
from arm_batch.images.tiff_entries import (
    Entry,
    Patch,
    layout_of,
    numbers,
    read_entries,
    with_directories,
    with_first,
)
from arm_batch.images.tiff_unpack import Bits, Units, join_chroma, unpack_bits
from arm_batch.images.vips import Vips

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANES = 256, 257, 258, 259, 262, 277, 284
_TILE_WIDTH, _SAMPLE_FORMAT, _SUBSAMPLING, _POSITIONING = 322, 339, 530, 531

_APART = 2
_PALETTE, _YCBCR = 3, 6
_COSITED = 2
_UNSIGNED = (1, 4)
"""Sample formats: said, and not said."""

_OF_BYTES = (1, 5, 8, 32773, 32946, 34925, 50000)
"""Compressions of bytes, whatever they mean."""

Open = Callable[[Patch, int], Vips]
"""Opens a page of the file so patched."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The samples of a page.

    Attributes:
        image: as libvips reads them.
        height: of the page, px.
        width: of the page, px.
        steps: make one after the other of its rows ``(n, image.width, image.bands)`` the samples, stretched to 8
            or 16 bits: of any rows where `by_rows`, else of all of them.
        by_rows: whether rows can be taken apart by themselves.
    """

    image: Vips
    height: int
    width: int
    steps: tuple[Step, ...] = ()
    by_rows: bool = True


def is_plain(directory: ImageFileDirectory_v2) -> bool:
    """Whether libvips reads the samples of a page as they lie there."""
    return not (_has_tiled_planes(directory) or _has_packed_samples(directory) or _units(directory) is not None)


def open_stored(stream: BinaryIO, found: Found, open: Open, as_rgb: bool = False) -> Stored:
    """The samples of a page, of which nothing is decoded yet.

    Args:
        stream: the file.
        found: the page.
        open: opens it.
        as_rgb: whether bands are given as they are, whatever they mean; so they always are where not `is_plain`.

    Raises:
        ImageError: it is broken, or of a kind that is not read.
        VipsError: likewise.
    """
    directory, _ = found
    if is_plain(directory) and not as_rgb:
        image = open(_first(stream, found), 0)
        return Stored(image=image, height=image.height, width=image.width)
    chunks = Chunks(stream, found)
    height, width = int(directory[_HEIGHT]), int(directory[_WIDTH])
    units = _units(directory)
    if units is not None:
        image = _joined(open, stream, chunks.of_bytes(units.row_bytes, units.rows, units.down))
        steps: tuple[Step, ...] = (*chunks.steps(units.rows, units.down), partial(join_chroma, units))
        return Stored(image=image, height=height, width=width, steps=steps, by_rows=False)
    if _has_packed_samples(directory):
        bits = _bits(directory)
        image = _joined(open, stream, chunks.of_bytes(bits.row_bytes, height, 1))
        return Stored(
            image=image,
            height=height,
            width=width,
            steps=(*chunks.steps(height, 1), partial(unpack_bits, bits)),
            by_rows=not chunks.tiled,
        )
    if _has_tiled_planes(directory):
        return Stored(image=_joined(open, stream, chunks.planes()), height=height, width=width)
    return Stored(image=_joined(open, stream, [chunks.as_rgb()]), height=height, width=width)


def _first(stream: BinaryIO, found: Found) -> Patch:
    """The file with this page first, which says what its colours are, as libvips wants, also where it does not."""
    directory, offset = found
    entries = read_entries(stream, offset)
    if _PHOTOMETRIC in entries:
        return with_first(stream, offset)
    return with_directories(
        stream, [entries | {_PHOTOMETRIC: numbers(layout_of(stream), directory[_PHOTOMETRIC])}]
    )


def _has_tiled_planes(directory: ImageFileDirectory_v2) -> bool:
    """Whether each band lies in tiles of its own, which libvips does not read: band by band it does."""
    return directory.get(_PLANES) == _APART and _TILE_WIDTH in directory


def _has_packed_samples(directory: ImageFileDirectory_v2) -> bool:
    """Whether samples lie bit behind bit, in a way that libvips does not read."""
    bits = directory.get(_BITS, (1,))
    if len(set(bits)) != 1 or not 1 <= bits[0] < 16 or bits[0] == 8 or directory.get(_PHOTOMETRIC) == _PALETTE:
        return False
    if directory.get(_COMPRESSION, 1) not in _OF_BYTES or directory.get(_SAMPLE_FORMAT, (1,))[0] not in _UNSIGNED:
        return False
    alone = directory.get(_SAMPLES, 1) == 1 and directory.get(_PLANES) != _APART
    return not (alone and bits[0] in (1, 2, 4))


def _units(directory: ImageFileDirectory_v2) -> Units | None:
    """How luma lies beside chroma of a resolution of its own; None where there is none."""
    if directory.get(_PHOTOMETRIC) != _YCBCR or directory.get(_COMPRESSION, 1) not in _OF_BYTES:
        return None
    # What is said where nothing is said.
    across, down = directory.get(_SUBSAMPLING, (2, 2))
    if (across, down) == (1, 1):
        return None
    if directory.get(_PLANES) == _APART or directory.get(_BITS) != (8, 8, 8):
        raise ImageError("has chroma at a lower resolution than luma, stored in a way that is not read")
    return Units(
        height=int(directory[_HEIGHT]),
        width=int(directory[_WIDTH]),
        piece=_piece_width(directory),
        across=int(across),
        down=int(down),
        cosited=directory.get(_POSITIONING) == _COSITED,
    )


def _bits(directory: ImageFileDirectory_v2) -> Bits:
    apart = directory.get(_PLANES) == _APART
    return Bits(
        width=int(directory[_WIDTH]),
        piece=_piece_width(directory),
        samples=1 if apart else int(directory.get(_SAMPLES, 1)),
        bits=int(directory.get(_BITS, (1,))[0]),
    )


def _piece_width(directory: ImageFileDirectory_v2) -> int:
    """Px of a row that lie together: of a tile or of the page."""
    return int(directory.get(_TILE_WIDTH, directory[_WIDTH]))


def _joined(open: Open, stream: BinaryIO, planes: list[dict[int, Entry]]) -> Vips:
    patch = with_directories(stream, planes)
    bands = [open(patch, number) for number in range(len(planes))]
    return bands[0].bandjoin(bands[1:]) if len(bands) > 1 else bands[0]
