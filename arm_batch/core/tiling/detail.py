"""Maps of fine detail and what they come to on each tile.

The idea: what a network can win back beyond the image's resolution resembles what the image itself loses
one octave lower, when it is halved and doubled again.
"""

from __future__ import annotations

import cv2
import numpy as np

from arm_batch.core.arrays import Array, Pixels, Singles

N_FEATURES = 4

_FLAT = 1.0
"""Squared grey levels: blocks of weaker gradients have no direction to speak of."""


def grey_levels(image: Pixels) -> Singles:
    """The BT.601 luma, 0..255, of uint8 or uint16 ``(h, w, 1)`` or ``(h, w, 3)``; float32 ``(h, w)``."""
    grey = image[..., 0] if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    levels = grey.astype(np.float32)
    return levels / np.float32(257) if grey.dtype == np.uint16 else levels


def octave_energy(grey: Singles) -> Singles:
    """The square of what is lost when an image is halved by area averaging and doubled by bicubic interpolation.

    An odd last row or column is paired with its reflection.

    Args:
        grey: float32 ``(h, w)``, any size from 1x1.

    Returns:
        float32 ``(h, w)``.
    """
    height, width = grey.shape
    even = np.asarray(cv2.copyMakeBorder(grey, 0, height % 2, 0, width % 2, cv2.BORDER_REFLECT_101), np.float32)
    half = _shrink(even, 2)
    double = cv2.resize(half, (even.shape[1], even.shape[0]), interpolation=cv2.INTER_CUBIC)
    lost = cv2.subtract(even, double)
    return np.asarray(cv2.multiply(lost, lost)[:height, :width], np.float32)


def detail_features(image: Pixels, inside: slice, tile: int) -> Singles:
    """Four features of each tile that together tell what networks gain on it.

    All are means of the octave energy in squared grey levels: the plain one; the root mean square over blocks of
    2 px, the larger the more it is concentrated; the mean over blocks of 4 px weighted by how much each has one
    direction (networks restore edges, not noise), by the coherence of the structure tensor (Bigun & Granlund,
    ICCV 1987); and the root mean square over blocks of 8 px.

    Args:
        image: uint8 or uint16 ``(h, w, c)``; rows outside `inside` are surroundings only.
        inside: the rows of the tiles.
        tile: side of a tile, a multiple of 8 px.

    Returns:
        float32 ``(n_tiles, N_FEATURES)``.
    """
    grey = grey_levels(image)
    blocks2 = _shrink(fill_tiles(octave_energy(grey)[inside], tile), 2)
    blocks4 = _shrink(blocks2, 2)
    blocks8 = _shrink(blocks4, 2)
    coherent = cv2.multiply(blocks4, _coherence(fill_tiles(grey[inside], tile)))
    columns = (
        tile_means(blocks2, tile // 2),
        np.sqrt(tile_means(cv2.multiply(blocks2, blocks2), tile // 2)),
        tile_means(coherent, tile // 4),
        np.sqrt(tile_means(cv2.multiply(blocks8, blocks8), tile // 8)),
    )
    return np.stack(columns, axis=1)


def tile_means(values: Array, tile: int | tuple[int, int]) -> Singles:
    """Mean over each tile, row by row; what a tile lacks counts as zero.

    Args:
        values: ``(h, w)``.
        tile: side in elements, or height and width.

    Returns:
        float32 ``(n_tiles,)``.
    """
    height, width = (tile, tile) if isinstance(tile, int) else tile
    filled = fill_tiles(values, height, width)
    rows, columns = filled.shape[0] // height, filled.shape[1] // width
    # Whole rows are added first: that runs along contiguous memory.
    strips = filled.reshape(rows, height, columns * width).sum(axis=1, dtype=np.float32)
    sums = strips.reshape(rows * columns, width).sum(axis=1, dtype=np.float32)
    return np.asarray(sums / np.float32(height * width), np.float32)


def _coherence(grey: Singles) -> Singles:
    """How much blocks of 4 px have one direction, 0..1, from the differences inside each 2x2 px."""
    falling = grey[1::2, 1::2] - grey[::2, ::2]
    rising = grey[::2, 1::2] - grey[1::2, ::2]
    half = np.float32(0.5)
    across, down = half * (falling + rising), half * (falling - rising)
    xx, xy, yy = (_shrink(a * b, 2) for a, b in ((across, across), (across, down), (down, down)))
    anisotropy = np.sqrt((xx - yy) ** 2 + 4 * xy * xy)
    return np.asarray(anisotropy / (xx + yy + np.float32(_FLAT)), np.float32)


def _shrink(values: Singles, factor: int) -> Singles:
    """Means over blocks of `factor` x `factor`, which divide the map."""
    size = (values.shape[1] // factor, values.shape[0] // factor)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)


def fill_tiles(values: Array, tile_height: int, tile_width: int | None = None) -> Array:
    """Add zeros to ``(h, w)`` at the right and bottom up to whole tiles, squares where no width is given."""
    height, width = values.shape
    below, right = -height % tile_height, -width % (tile_height if tile_width is None else tile_width)
    return cv2.copyMakeBorder(values, 0, below, 0, right, cv2.BORDER_CONSTANT, value=0)
