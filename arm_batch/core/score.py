"""Edge scores: how much detail a tile holds, from its pixels alone.

Source: Chen et al., "ARM: Any-Time Super-Resolution Method", ECCV 2022: the mean absolute Laplacian.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from arm_batch.core.tiles import Pixels, TileGrid, reflect


def laplacian_map(image: Pixels) -> NDArray[np.uint8]:
    """Absolute 3x3 Laplacian of the luma, saturated at 255.

    Args:
        image: uint8 or uint16, ``(h, w, 1)`` grey or ``(h, w, 3)`` RGB.

    Returns:
        uint8 ``(h, w)``.
    """
    grey = image[..., 0] if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if grey.dtype == np.uint16:
        grey = cv2.convertScaleAbs(grey, alpha=1 / 257)
    laplacian = cv2.Laplacian(np.ascontiguousarray(grey), cv2.CV_16S, ksize=3)
    return np.asarray(cv2.convertScaleAbs(laplacian), np.uint8)


def edge_scores(image: Pixels, grid: TileGrid) -> NDArray[np.float32]:
    """The edge score of each tile: the mean of `laplacian_map` over the tile, without its halo.

    Args:
        image: uint8 or uint16, ``(h, w, 1)`` or ``(h, w, 3)``.
        grid: how the image is cut.

    Returns:
        float32 ``(n_tiles,)``, row by row, each in 0..255.
    """
    height, width = image.shape[:2]
    rows, columns = grid.shape(height, width)
    side = grid.tile
    edges = reflect(laplacian_map(image), 0, rows * side - height, 0, columns * side - width)
    # Whole rows are added first: that runs along contiguous memory.
    strips = edges.reshape(rows, side, columns * side).sum(axis=1, dtype=np.uint32)
    sums = strips.reshape(rows * columns, side).sum(axis=1, dtype=np.uint32)
    return np.asarray(sums / (side * side), np.float32)
