"""What of a tile is no detail: the blocks of JPEG and the noise of sensors."""

from __future__ import annotations

import cv2
import numpy as np

from arm_batch.core.arrays import Pixels, Singles
from arm_batch.core.tiling.detail import fill_tiles, grey_levels, tile_means

N_FLAWS = 3

_BLOCK = 8
"""Side of a block of JPEG, px."""

_JUMP = np.array([[0.5, -1.5, 1.5, -0.5]], np.float32)
"""Between the second and the third of four neighbours, less what the slopes on both sides explain."""

_CROSS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / np.float32(6)
"""The difference of two Laplacians; white noise of variance 1 gives a mean square of 1."""


def flaw_features(image: Pixels, inside: slice, tile: int) -> Singles:
    """Three features of each tile that tell detail from what compression and sensors leave.

    The mean squared jump at the borders of JPEG's blocks, and halfway between them: their ratio is blockiness,
    after Wang, Sheikh & Bovik, "No-reference perceptual quality assessment of JPEG compressed images", ICIP 2002.
    And the variance of the noise by Immerkaer, "Fast noise variance estimation", CVIU 1996.

    Args:
        image: uint8 or uint16 ``(h, w, c)``; rows outside `inside` are surroundings only. Blocks begin at its left
            and at the first row of `inside`.
        inside: the rows of the tiles.
        tile: side of a tile, a multiple of 8 px.

    Returns:
        float32 ``(n_tiles, N_FLAWS)``, in squared grey levels.
    """
    grey = grey_levels(image)
    across, down = _squared(grey, _JUMP, inside, tile), _squared(grey, _JUMP.T, inside, tile)
    lines = tile // _BLOCK
    columns = [
        (tile_means(across[:, at::_BLOCK], (tile, lines)) + tile_means(down[at::_BLOCK], (lines, tile))) / 2
        for at in (0, _BLOCK // 2)
    ]
    return np.stack([*columns, tile_means(_squared(grey, _CROSS, inside, tile), tile)], axis=1)


def _squared(grey: Singles, kernel: Singles, inside: slice, tile: int) -> Singles:
    """The squared answer to a filter, of the rows inside, filled up to whole tiles."""
    anchor = (kernel.shape[1] // 2, kernel.shape[0] // 2)
    answer = cv2.filter2D(grey, cv2.CV_32F, kernel, anchor=anchor, borderType=cv2.BORDER_REFLECT_101)[inside]
    return np.asarray(fill_tiles(cv2.multiply(answer, answer), tile), np.float32)
