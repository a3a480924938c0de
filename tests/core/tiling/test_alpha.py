from __future__ import annotations

import numpy as np
import pytest

from arm_batch.core.tiling.alpha import ShownTiles, fill_hidden
from arm_batch.core.tiling.grid import TileGrid
from tests.image_files import noise


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_hidden_colours_are_those_of_a_nearest_visible_pixel(depth: int, channels: int) -> None:
    pixels = noise(0, 25, 31, channels, depth)
    alpha = (noise(1, 25, 31, 1, depth)[..., 0] > 0.93 * 2**depth).astype(pixels.dtype)
    filled = fill_hidden(pixels, alpha)
    assert (filled.dtype, filled.shape) == (pixels.dtype, pixels.shape)
    rows, columns = np.nonzero(alpha)
    np.testing.assert_array_equal(filled[rows, columns], pixels[rows, columns])
    for row, column in np.argwhere(alpha == 0):
        distance = np.hypot(rows - row, columns - column)
        # The distance is that of a chamfer, which is off by a few per cent.
        near = distance <= distance.min() * 1.1
        candidates = pixels[rows[near], columns[near]]
        assert (candidates == filled[row, column]).all(axis=1).any()
    np.testing.assert_array_equal(fill_hidden(pixels, alpha), filled)


def test_where_all_or_nothing_is_visible() -> None:
    pixels = noise(0)
    np.testing.assert_array_equal(fill_hidden(pixels, np.full((20, 30), 1, np.uint8)), pixels)
    assert not fill_hidden(pixels, np.zeros((20, 30), np.uint8)).any()


def test_tiles_that_show_nothing() -> None:
    alpha = np.zeros((20, 25), np.uint16)
    alpha[7, 8] = alpha[19, 24] = 1
    # Three rows of four tiles, the last ones partly beyond the image.
    shown = ShownTiles(20, 25, TileGrid(8, 2))
    for start, stop in ((0, 9), (5, 20)):
        shown.add(start, alpha[start:stop])
    assert np.flatnonzero(~shown.hidden()).tolist() == [1, 11]
