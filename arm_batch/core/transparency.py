"""Colours that nobody sees."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from arm_batch.core.tiles import Pixels, TileGrid


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


def hidden_tiles(alpha: Pixels, grid: TileGrid) -> NDArray[np.bool_]:
    """Which tiles of an image show nothing at all, row by row ``(n_tiles,)``.

    Args:
        alpha: ``(h, w)``; 0 is fully transparent.
        grid: how the image is cut; halos play no part.
    """
    height, width = alpha.shape
    rows, columns = grid.shape(height, width)
    visible = np.zeros((rows * grid.tile, columns * grid.tile), np.bool_)
    visible[:height, :width] = alpha > 0
    return ~visible.reshape(rows, grid.tile, columns, grid.tile).any(axis=(1, 3)).ravel()
