"""Neighbouring tiles that different subnets upscaled meet without a seam."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from arm_batch.core.arrays import Flags, Floats, Pixels
from arm_batch.core.tiling.grid import Stitcher, TileGrid
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import load_ladder, shipped_ladders
from arm_batch.training.data import downscale
from tests.image_files import by_opencv

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
pytestmark = pytest.mark.slow

TILES = 5
"""Of a photograph at most, along each axis."""

STEP = 2
"""LR px by which the image is shifted under the grid: what lies at the borders is different each time."""

NEAR = 2
"""HR px from a border."""


def photograph(name: str, scale: int, most: int) -> Pixels:
    bgr = by_opencv((resources.files("skimage.data") / name).read_bytes())
    height, width = (min(side // scale, most) * scale for side in bgr.shape[:2])
    return np.ascontiguousarray(bgr[:height, :width, ::-1])


def inside(length: int, grid: TileGrid, scale: int, first: int) -> tuple[Flags, Flags]:
    """Along one axis, what is near a border between two tiles, and what of the image is looked at at all."""
    side = grid.tile * scale
    place = np.arange(length)
    near = (place % side < NEAR) | (place % side >= side - NEAR)
    return near, (place >= first) & (place < length - grid.tile)


@pytest.mark.parametrize("name", shipped_ladders())
def test_errors_at_the_borders_of_tiles_are_those_elsewhere(name: str) -> None:
    files = load_ladder(name)
    grid, scale = files.ladder.grid, files.ladder.scale
    upscaler = Upscaler(files.nets, grid, scale, "cpu")
    sums, counts = np.zeros(2), np.zeros(2)
    for hr in (photograph(each, scale, TILES * grid.tile) for each in PHOTOGRAPHS):
        lr = downscale(hr, scale)
        for shift in range(0, grid.tile, STEP):
            shifted, wanted = lr[shift:, shift:], hr[shift * scale :, shift * scale :]
            errors = ((upscale(grid, upscaler, len(files.nets), shifted, scale) - wanted) ** 2).mean(axis=2)
            # The same part of the photograph each time, and no border of the image itself.
            rows, columns = (inside(n, grid, scale, (grid.tile - shift) * scale) for n in errors.shape)
            near = rows[0][:, None] | columns[0][None]
            looked_at = rows[1][:, None] & columns[1][None]
            for place, mask in enumerate((near & looked_at, ~near & looked_at)):
                sums[place] += errors[mask].sum()
                counts[place] += mask.sum()
    at_borders, elsewhere = sums / counts
    assert at_borders / elsewhere <= 1.02


def upscale(grid: TileGrid, upscaler: Upscaler, n_subnets: int, lr: Pixels, scale: int) -> Floats:
    """Every tile by another subnet than its neighbours: the allocation with the most seams."""
    rows, columns = grid.shape(*lr.shape[:2])
    subnets = np.add.outer(np.arange(rows), np.arange(columns)).ravel() % n_subnets
    windows = grid.windows(lr)
    stitcher = Stitcher(grid, lr.shape[0], lr.shape[1], 3, lr.dtype, scale)
    for subnet in range(n_subnets):
        tiles = np.flatnonzero(subnets == subnet)
        stitcher.add(tiles, upscaler.run(subnet, [windows.take(tiles)])[0].pixels)
    return stitcher.image().astype(np.float64)
