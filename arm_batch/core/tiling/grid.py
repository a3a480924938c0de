"""Cutting an image into tiles that overlap by a halo, and putting the upscaled tiles together again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

from arm_batch.core.arrays import Corners, Flags, Indices, Pixels

Rows = Callable[[int, int], Pixels]
"""Rows ``[start, stop)`` of an image, asked for from top to bottom: neither limit ever becomes less."""


class Windows(NamedTuple):
    """Tiles with their surroundings, as nets are given them.

    Attributes:
        pixels: uint8 or uint16 ``(n, window, window, c)``; beyond the image's border its outermost pixels again.
        inside: int16 ``(n, 4)``: top, bottom, left and right of what of each window lies in the image, px.
    """

    pixels: Pixels
    inside: Corners

    @property
    def at_border(self) -> Flags:
        """Which of them lie partly beyond the image, ``(n,)``."""
        side = self.pixels.shape[1]
        return np.asarray((self.inside != np.array([0, side, 0, side], np.int16)).any(axis=1))

    def cropped(self, margin: int) -> Windows:
        """The same without so many px at each side; a view."""
        if not margin:
            return self
        side = self.pixels.shape[1] - 2 * margin
        pixels = self.pixels[:, margin : margin + side, margin : margin + side]
        return Windows(pixels, np.clip(self.inside - margin, 0, side).astype(self.inside.dtype))

    @classmethod
    def within(cls, pixels: Pixels) -> Windows:
        """Windows of which all lies in an image."""
        inside = np.array([[0, pixels.shape[1], 0, pixels.shape[2]]], np.int16)
        return cls(pixels, np.broadcast_to(inside, (len(pixels), 4)))


class Cells(NamedTuple):
    """All windows of an image, or of some rows of its tiles.

    Attributes:
        pixels: a view ``(rows, columns, window, window, c)``.
        rows: int16 ``(rows, 2)``: top and bottom of what of each row's windows lies in the image, px.
        columns: int16 ``(columns, 2)``: left and right.
    """

    pixels: Pixels
    rows: Corners
    columns: Corners

    def take(self, tiles: Indices) -> Windows:
        """A copy of the windows of the tiles with these indices, row by row."""
        rows, columns = np.divmod(tiles, self.pixels.shape[1])
        pixels = np.ascontiguousarray(self.pixels[rows, columns])
        return Windows(pixels, np.concatenate([self.rows[rows], self.columns[columns]], axis=1))


class Upscaled(NamedTuple):
    """What became of some tiles of one image.

    Attributes:
        pixels: ``(n, scale*tile, scale*tile, c)``.
        not_finite: how many of them were interpolated because the net's output was not finite.
    """

    pixels: Pixels
    not_finite: int


@dataclass(frozen=True)
class TileGrid:
    """Square tiles that cover an image completely, row by row from the top left.

    Each tile is read together with `halo` px of its true surroundings, so that neighbours served by different
    subnets meet without a seam. Where there are none (at the image's border, and to fill up the last row and
    column) its outermost pixels are repeated, as interpolation has it; nets are told where the image ends.

    Attributes:
        tile: side of a tile, LR px.
        halo: LR px read beyond each side of a tile and cut away from its output.
    """

    tile: int = 32
    halo: int = 2

    def __post_init__(self) -> None:
        if self.tile < 1 or self.halo < 0:
            raise ValueError(f"tile {self.tile} must be positive and halo {self.halo} not negative")

    @property
    def window(self) -> int:
        """Side of what is read for one tile, LR px."""
        return self.tile + 2 * self.halo

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tiles for an image of `height` x `width` px.

        >>> TileGrid(32, 2).shape(33, 32)
        (2, 1)
        """
        return -(-height // self.tile), -(-width // self.tile)

    def count(self, height: int, width: int) -> int:
        """Number of tiles of an image of `height` x `width` px."""
        rows, columns = self.shape(height, width)
        return rows * columns

    def windows(self, image: Pixels) -> Cells:
        """All tiles of an image with their halos.

        The image is copied once (to pad it); overlapping halos are not.
        """
        return self.windows_between(lambda start, stop: image[start:stop], 0, len(image), len(image))

    def windows_between(self, rows: Rows, top: int, bottom: int, height: int) -> Cells:
        """`windows` of the tiles in rows ``[top, bottom)`` of an image that is never there as a whole.

        Args:
            rows: of the image; asked once, for these rows and the surroundings they need.
            top: where a row of tiles begins, LR px.
            bottom: where one ends; the image's height for the last.
            height: of the image.
        """
        start, stop = max(0, top - self.halo), min(height, bottom + self.halo)
        piece = rows(start, stop)
        width = piece.shape[1]
        n_rows, columns = self.shape(bottom - top, width)
        missing = n_rows * self.tile - (bottom - top) + self.halo - (stop - bottom)
        repeated = self.halo - (top - start)
        padded = _repeat_border(piece, repeated, missing, self.halo, columns * self.tile - width + self.halo)
        down, across, channel = padded.strides
        cells = np.lib.stride_tricks.as_strided(
            padded,
            (n_rows, columns, self.window, self.window, piece.shape[2]),
            (down * self.tile, across * self.tile, down, across, channel),
            writeable=False,
        )
        return Cells(cells, self._inside(top, n_rows, height), self._inside(0, columns, width))

    def _inside(self, first: int, count: int, length: int) -> Corners:
        """Along one axis: where an image of this length begins and ends in windows of tiles from `first` on."""
        begins = first + self.tile * np.arange(count) - self.halo
        ends = np.minimum(length - begins, self.window)
        return np.stack([np.maximum(-begins, 0), ends], axis=1).astype(np.int16)

    def crop_halo(self, outputs: Any, scale: int) -> Any:
        """Upscaled windows ``(n, scale*window, ...)`` without their halos ``(n, scale*tile, ...)``.

        A view; works on arrays and tensors alike.
        """
        cut = self.halo * scale
        return outputs[:, cut : cut + self.tile * scale, cut : cut + self.tile * scale]


class Stitcher:
    """Collects the upscaled tiles of one image.

    Args:
        grid: the grid that cut the image.
        height: of the LR image, px.
        width: of the LR image, px.
        channels: 1 or 3.
        dtype: of the pixels.
        scale: upscaling factor.
    """

    def __init__(
        self, grid: TileGrid, height: int, width: int, channels: int, dtype: np.dtype[Any], scale: int
    ) -> None:
        rows, columns = grid.shape(height, width)
        side = grid.tile * scale
        self._canvas = np.empty((rows * side, columns * side, channels), dtype)
        self._cells = self._canvas.reshape(rows, side, columns, side, channels).swapaxes(1, 2)
        self._size = (height * scale, width * scale)
        self._missing = rows * columns

    def add(self, tiles: Indices, outputs: Pixels) -> None:
        """Place `outputs` ``(n, scale*tile, scale*tile, channels)`` at the cells with these indices."""
        rows, columns = np.divmod(tiles, self._cells.shape[1])
        self._cells[rows, columns] = outputs
        self._missing -= len(tiles)

    def image(self) -> Pixels:
        """The whole image; `ValueError` unless each tile was added once."""
        if self._missing:
            raise ValueError(f"{self._missing} tiles are missing")
        return self._canvas[: self._size[0], : self._size[1]]


def _repeat_border(image: Pixels, top: int, bottom: int, left: int, right: int) -> Pixels:
    """Pad HWC with its outermost pixels."""
    padded = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REPLICATE)
    return padded.reshape(*padded.shape[:2], image.shape[2])
