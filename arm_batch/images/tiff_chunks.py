"""The strips or tiles of a TIFF page under other directories, by which libtiff gives the bytes that they hold."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import BinaryIO

from arm_batch.core.arrays import Pixels
from arm_batch.errors import ImageError
from arm_batch.images.tiff_directories import Found
from arm_batch.images.tiff_entries import Entry, layout_of, numbers, part_of, read_entries
from arm_batch.images.tiff_unpack import side_by_side

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIPS, _SAMPLES, _ROWS, _STRIP_SIZES, _PLANES, _PREDICTOR = 273, 277, 278, 279, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_SIZES = 322, 323, 324, 325
_SAMPLE_FORMAT, _TABLES = 339, 347

_APART, _TOGETHER = 2, 1
_BLACK_IS_0, _RGB = 1, 2

_STORED = (_COMPRESSION, _FILL_ORDER, _ROWS, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TABLES)
"""Tags that tell how bytes lie in the file."""

_WHOLE = (_WIDTH, _HEIGHT, _BITS, _SAMPLES, _PLANES)
"""Tags that tell what of them are samples."""

Step = Callable[[Pixels], Pixels]
"""Makes of rows what they stand for."""


class Chunks:
    """Writes directories for the strips or tiles of a page; `ImageError` where these are not all there."""

    def __init__(self, stream: BinaryIO, found: Found) -> None:
        self._stream, self._layout = stream, layout_of(stream)
        self._directory, offset = found
        self._entries = read_entries(stream, offset)
        self.tiled = _TILE_WIDTH in self._directory
        self._places, self._sizes = (_TILES, _TILE_SIZES) if self.tiled else (_STRIPS, _STRIP_SIZES)
        self._check()

    def _page(self, changes: Mapping[int, int | None], photometric: int) -> dict[int, Entry]:
        """The page with these tags, None for those that it has, and those that tell how its bytes lie there."""
        kept = {tag for tag, value in changes.items() if value is None} | {*_STORED, self._places, self._sizes}
        entries = {tag: entry for tag, entry in self._entries.items() if tag in kept}
        said = {tag: numbers(self._layout, value) for tag, value in changes.items() if value is not None}
        return entries | said | {_PHOTOMETRIC: numbers(self._layout, photometric)}

    def as_rgb(self) -> dict[int, Entry]:
        """The page, all bands of it taken for plain ones, whatever they mean."""
        return self._page(dict.fromkeys(_WHOLE), _RGB)

    def planes(self) -> list[dict[int, Entry]]:
        """Each band as a grey page of its own."""
        kept = dict.fromkeys((_WIDTH, _HEIGHT, _BITS, _SAMPLE_FORMAT))
        common = self._page({**kept, _SAMPLES: 1, _PLANES: _TOGETHER}, _BLACK_IS_0)
        pages = self._bands(common)
        for page in pages:
            for tag in (_BITS, _SAMPLE_FORMAT):
                if tag in page:
                    page[tag] = part_of(self._stream, self._layout, page[tag], 0, 1)
        return pages

    def of_bytes(self, width: int, height: int, down: int) -> list[dict[int, Entry]]:
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
        page = self._page({_BITS: 8, _SAMPLES: 1, _PLANES: _TOGETHER, _WIDTH: width, _ROWS: rows}, _BLACK_IS_0)
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
