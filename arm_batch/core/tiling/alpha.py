"""Colours that nobody sees."""

from __future__ import annotations

import cv2
import numpy as np

from arm_batch.core.arrays import Flags, Pixels
from arm_batch.core.tiling.grid import TileGrid


def fill_hidden(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Give fully transparent pixels the colour of a nearest visible one.

    What lies under full transparency is arbitrary, often black; a network would mix it into the visible edge, and
    would be paid for detail that nobody sees.

    Args:
        pixels: uint8 or uint16 ``(h, w, c)``.
        alpha: ``(h, w)``; 0 is fully transparent.

    Returns:
        As `pixels`; all 0 where nothing is visible.
    """
    hidden = (alpha == 0).astype(np.uint8)
    if not hidden.any():
        return pixels
    if hidden.all():
        return np.zeros_like(pixels)
    # Labels of the nearest visible pixel, each of which has one of its own.
    _, labels = cv2.distanceTransformWithLabels(
        hidden, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    visible = np.flatnonzero(hidden.ravel() == 0)
    nearest = np.zeros(int(labels.max()) + 1, np.intp)
    nearest[labels.ravel()[visible]] = visible
    return pixels.reshape(-1, pixels.shape[2])[nearest[labels]]


class ShownTiles:
    """Finds the tiles of an image that show nothing at all, as its rows come in.

    Args:
        height: of the image, px.
        width: of the image, px.
        grid: how it is cut; halos play no part.
    """

    def __init__(self, height: int, width: int, grid: TileGrid) -> None:
        self._grid = grid
        self._shown = np.zeros(grid.shape(height, width), np.bool_)

    def add(self, start: int, alpha: Pixels) -> None:
        """Rows from `start` on, ``(n, w)``, once or more often; 0 is fully transparent."""
        tile, columns = self._grid.tile, self._shown.shape[1]
        visible = np.zeros((len(alpha), columns * tile), np.bool_)
        visible[:, : alpha.shape[1]] = alpha > 0
        rows = (start + np.arange(len(alpha))) // tile
        np.logical_or.at(self._shown, rows, visible.reshape(len(alpha), columns, tile).any(axis=2))

    def hidden(self) -> Flags:
        """Which tiles show nothing, row by row, ``(n_tiles,)``."""
        return ~self._shown.ravel()
