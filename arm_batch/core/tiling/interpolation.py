"""Interpolation: the subnet that costs next to nothing."""

from __future__ import annotations

import cv2
import numpy as np

from arm_batch.core.arrays import Pixels
from arm_batch.core.tiling.grid import TileGrid


def bicubic(windows: Pixels, scale: int) -> Pixels:
    """Enlarge each window with OpenCV's bicubic (a = -0.75).

    Args:
        windows: uint8 or uint16 ``(n, h, w, c)``.
        scale: upscaling factor.

    Returns:
        ``(n, scale*h, scale*w, c)``, same dtype.
    """
    n, height, width, channels = windows.shape
    size = (width * scale, height * scale)
    enlarged = np.empty((n, size[1], size[0], channels), windows.dtype)
    for window, output in zip(windows, enlarged, strict=True):
        output[...] = cv2.resize(window, size, interpolation=cv2.INTER_CUBIC).reshape(output.shape)
    return enlarged


def interpolate_tiles(windows: Pixels, grid: TileGrid, scale: int) -> Pixels:
    """Tiles by interpolation: windows ``(n, window, window, c)`` to ``(n, scale*tile, scale*tile, c)``."""
    cropped: Pixels = grid.crop_halo(bicubic(windows, scale), scale)
    return cropped


def enlarge_planes(planes: Pixels, scale: int) -> Pixels:
    """Enlarge bands of a whole image, each by itself: uint8 or uint16 ``(h, w, k)``, k >= 0, as `bicubic` does."""
    height, width, count = planes.shape
    enlarged = np.empty((height * scale, width * scale, count), planes.dtype)
    for band in range(count):
        enlarged[..., band] = bicubic(np.ascontiguousarray(planes[None, ..., band : band + 1]), scale)[0, ..., 0]
    return enlarged
