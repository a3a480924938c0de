"""Cutting an image into tiles that overlap by a halo, and putting the upscaled tiles together again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

from arm_batch.core.arrays import Indices, Pixels

Rows = Callable[[int, int], Pixels]
"""Rows ``[start, stop)`` of an image, asked for from top to bottom: neither limit ever becomes less."""


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
    subnets meet without a seam; where there are no surroundings (at the image's border, and to fill up
    the last row and column) the image is reflected.

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

    def windows(self, image: Pixels) -> Pixels:
        """All tiles with their halos, as a view ``(rows, columns, window, window, channels)``.

        The image is copied once (to pad it); overlapping halos are not.
        """
        return self.windows_between(lambda start, stop: image[start:stop], 0, len(image), len(image))

    def windows_between(self, rows: Rows, top: int, bottom: int, height: int) -> Pixels:
        """`windows` of the tiles in rows ``[top, bottom)`` of an image that is never there as a whole.

        Args:
            rows: of the image; asked once, for these rows and the surroundings they need.
            top: where a row of tiles begins, LR px.
            bottom: where one ends; the image's height for the last.
            height: of the image.
        """
        # The last row of tiles is filled up by reflection, from as far above as it may reach below.
        above = self.halo if bottom < height else self.tile + self.halo
        start, stop = max(0, top - above), min(height, bottom + self.halo)
        piece = rows(start, stop)
        width = piece.shape[1]
        n_rows, columns = self.shape(bottom - top, width)
        missing = n_rows * self.tile - (bottom - top) + self.halo - (stop - bottom)
        mirrored = max(0, self.halo - top)
        padded = reflect(piece, mirrored, missing, self.halo, columns * self.tile - width + self.halo)
        padded = padded[mirrored + top - self.halo - start :]
        down, across, channel = padded.strides
        return np.lib.stride_tricks.as_strided(
            padded,
            (n_rows, columns, self.window, self.window, piece.shape[2]),
            (down * self.tile, across * self.tile, down, across, channel),
            writeable=False,
        )

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


def take(windows: Pixels, tiles: Indices) -> Pixels:
    """Copy the windows of the tiles with these indices.

    Args:
        windows: as `TileGrid.windows` gives them.
        tiles: indices, row by row.

    Returns:
        Contiguous, ``(n, window, window, channels)``.
    """
    rows, columns = np.divmod(tiles, windows.shape[1])
    return np.ascontiguousarray(windows[rows, columns])


def reflect(image: Pixels, top: int, bottom: int, left: int, right: int) -> Pixels:
    """Pad HW or HWC by reflection about the border pixel; also where the pad exceeds the image."""
    padded = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REFLECT_101)
    return padded.reshape(*padded.shape[:2], *image.shape[2:])
