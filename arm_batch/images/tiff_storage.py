"""How the samples of a TIFF page lie in its file, where libvips does not read them so.

libtiff undoes the compression in any case: it is shown another directory, by which the same strips or tiles hold
grey bytes or single bands, and what it gives is taken apart here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from arm_batch.core.tiling.grid import Pixels
from arm_batch.errors import ImageError
from arm_batch.images.tiff_directories import Found
from arm_batch.images.tiff_entries import (
    Entry,
    Layout,
    Patch,
    numbers,
    part_of,
    read_entries,
    with_directories,
    with_first,
)
from arm_batch.images.tiff_unpack import Bits, Units, join_chroma, side_by_side, unpack_bits
from arm_batch.images.vips import Vips

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIPS, _SAMPLES, _ROWS, _STRIP_SIZES, _PLANES, _PREDICTOR = 273, 277, 278, 279, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_SIZES = 322, 323, 324, 325
_SAMPLE_FORMAT, _TABLES, _SUBSAMPLING, _POSITIONING = 339, 347, 530, 531

_APART, _TOGETHER = 2, 1
_BLACK_IS_0, _RGB, _PALETTE, _YCBCR = 1, 2, 3, 6
_COSITED = 2
_UNSIGNED = (1, 4)
"""Sample formats: said, and not said."""

_OF_BYTES = (1, 5, 8, 32773, 32946, 34925, 50000)
"""Compressions of bytes, whatever they mean."""

_STORED = (_COMPRESSION, _FILL_ORDER, _ROWS, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TABLES)
"""Tags that tell how bytes lie in the file."""

_WHOLE = (_WIDTH, _HEIGHT, _BITS, _SAMPLES, _PLANES)
"""Tags that tell what of them are samples."""

Open = Callable[[Patch, int], Vips]
"""Opens a page of the file so patched."""

Step = Callable[[Pixels], Pixels]


@dataclass(frozen=True)
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
    directory, offset = found
    if is_plain(directory) and not as_rgb:
        image = open(with_first(stream, offset), 0)
        return Stored(image, image.height, image.width)
    file = _File(stream, found)
    height, width = int(directory[_HEIGHT]), int(directory[_WIDTH])
    units = _units(directory)
    if units is not None:
        image = _joined(open, stream, file.bytes(units.row_bytes, units.rows, units.down))
        steps: tuple[Step, ...] = (*file.steps(units.rows, units.down), partial(join_chroma, units))
        return Stored(image, height, width, steps, by_rows=False)
    if _has_packed_samples(directory):
        bits = _bits(directory)
        image = _joined(open, stream, file.bytes(bits.row_bytes, height, 1))
        return Stored(image, height, width, (*file.steps(height, 1), partial(unpack_bits, bits)), not file.tiled)
    if _has_tiled_planes(directory):
        return Stored(_joined(open, stream, file.planes()), height, width)
    return Stored(_joined(open, stream, [file.page(dict.fromkeys(_WHOLE), _RGB)]), height, width)


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


class _File:
    """Writes directories for the strips or tiles of a page; `ImageError` where these are not all there."""

    def __init__(self, stream: BinaryIO, found: Found) -> None:
        stream.seek(0)
        self._stream, self._layout = stream, Layout.of(stream.read(16))
        self._directory, offset = found
        self._entries = read_entries(stream, offset)
        self.tiled = _TILE_WIDTH in self._directory
        self._places, self._sizes = (_TILES, _TILE_SIZES) if self.tiled else (_STRIPS, _STRIP_SIZES)
        self._check()

    def page(self, changes: Mapping[int, int | None], photometric: int) -> dict[int, Entry]:
        """The page with these tags, None for those that it has, and those that tell how its bytes lie there."""
        kept = {tag for tag, value in changes.items() if value is None} | {*_STORED, self._places, self._sizes}
        entries = {tag: entry for tag, entry in self._entries.items() if tag in kept}
        said = {tag: numbers(self._layout, value) for tag, value in changes.items() if value is not None}
        return entries | said | {_PHOTOMETRIC: numbers(self._layout, photometric)}

    def planes(self) -> list[dict[int, Entry]]:
        """Each band as a grey page of its own."""
        kept = dict.fromkeys((_WIDTH, _HEIGHT, _BITS, _SAMPLE_FORMAT))
        common = self.page({**kept, _SAMPLES: 1, _PLANES: _TOGETHER}, _BLACK_IS_0)
        pages = self._bands(common)
        for page in pages:
            for tag in (_BITS, _SAMPLE_FORMAT):
                if tag in page:
                    page[tag] = part_of(self._stream, self._layout, page[tag], 0, 1)
        return pages

    def bytes(self, width: int, height: int, down: int) -> list[dict[int, Entry]]:
        """Each band, or all where they lie together, as a page of grey bytes in strips, tiles one below the other.

        Args:
            width: bytes of a row of a strip or tile.
            height: rows of the page.
            down: rows of pixels in one of these.
        """
        rows = (
            self._tile_rows if self.tiled else min(int(self._directory.get(_ROWS, height * down)), height * down)
        )
        if rows % down and rows < (height - 1) * down + 1:
            raise ImageError("cannot be decoded: its strips are not whole rows of chroma")
        rows = -(-rows // down)
        page = self.page({_BITS: 8, _SAMPLES: 1, _PLANES: _TOGETHER, _WIDTH: width, _ROWS: rows}, _BLACK_IS_0)
        for tag in (_TILE_WIDTH, _TILE_HEIGHT):
            page.pop(tag, None)
        pages = self._bands(page)
        for own in pages:
            tall = own[self._places].count * rows if self.tiled else height
            own[_HEIGHT] = numbers(self._layout, tall)
            if self.tiled:
                own |= {_STRIPS: own.pop(_TILES), _STRIP_SIZES: own.pop(_TILE_SIZES)}
        return pages

    def steps(self, height: int, down: int) -> tuple[Step, ...]:
        """What puts such tiles side by side, in so many rows."""
        if not self.tiled:
            return ()
        across = -(-int(self._directory[_WIDTH]) // int(self._directory[_TILE_WIDTH]))
        return (partial(side_by_side, across, self._tile_rows // down, height),)

    @property
    def _tile_rows(self) -> int:
        return int(self._directory[_TILE_HEIGHT])

    def _bands(self, page: dict[int, Entry]) -> list[dict[int, Entry]]:
        """A page for each band of those that lie apart, with its strips or tiles alone."""
        samples = int(self._directory.get(_SAMPLES, 1)) if self._directory.get(_PLANES) == _APART else 1
        chunks, left = divmod(page[self._places].count, samples)
        if not chunks or left:
            raise ImageError("cannot be decoded: its tiles are not those of its bands")
        pages = []
        for band in range(samples):
            own = dict(page)
            for tag in (self._places, self._sizes):
                if tag in own:
                    own[tag] = part_of(self._stream, self._layout, own[tag], band * chunks, (band + 1) * chunks)
            pages.append(own)
        return pages

    def _check(self) -> None:
        # Directories will lie behind what there is, where strips and tiles that are missing would be looked for.
        places, sizes = (self._directory.get(tag, ()) for tag in (self._places, self._sizes))
        if not places or len(sizes) not in (0, len(places)):
            raise ImageError("cannot be decoded: its strips or tiles are missing")
        end = self._stream.seek(0, io.SEEK_END)
        if any(place + size > end for place, size in zip(places, sizes or (1,) * len(places), strict=True)):
            raise ImageError("cannot be decoded: strips or tiles are missing")
