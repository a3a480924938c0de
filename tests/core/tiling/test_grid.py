"""Cutting and stitching: every pixel survives, halos are the true surroundings."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.tiling.grid import Stitcher, TileGrid, reflect, take

grids = st.builds(TileGrid, st.integers(1, 9), st.integers(0, 4))


@st.composite
def images(draw: st.DrawFn) -> np.ndarray:
    shape = (draw(st.integers(1, 30)), draw(st.integers(1, 30)), draw(st.sampled_from([1, 3])))
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return rng.integers(0, 255 if dtype is np.uint8 else 65535, shape, endpoint=True).astype(dtype)


def stitch(grid: TileGrid, image: np.ndarray, order: np.ndarray, scale: int) -> np.ndarray:
    """Upscale by repetition, tile by tile in the given order."""
    stitcher = Stitcher(grid, image.shape[0], image.shape[1], image.shape[2], image.dtype, scale)
    for tile in order:
        window = take(grid.windows(image), np.array([tile]))
        enlarged = window.repeat(scale, axis=1).repeat(scale, axis=2)
        stitcher.add(np.array([tile]), grid.crop_halo(enlarged, scale))
    return stitcher.image()


@given(images(), grids, st.integers(1, 4), st.randoms())
def test_cut_crop_and_stitch_give_the_whole_image_in_any_order(
    image: np.ndarray, grid: TileGrid, scale: int, random: Random
) -> None:
    tiles = list(range(grid.count(*image.shape[:2])))
    random.shuffle(tiles)
    order = np.array(tiles)
    expected = image.repeat(scale, axis=0).repeat(scale, axis=1)
    result = stitch(grid, image, order, scale)
    assert result.dtype == image.dtype
    np.testing.assert_array_equal(result, expected)


@given(images(), grids)
def test_halos_are_the_true_neighbours(image: np.ndarray, grid: TileGrid) -> None:
    windows = grid.windows(image)
    height, width = image.shape[:2]
    rows, columns = grid.shape(height, width)
    assert windows.shape == (rows, columns, grid.window, grid.window, image.shape[2])
    for row in range(rows):
        for column in range(columns):
            y, x = row * grid.tile - grid.halo, column * grid.tile - grid.halo
            inside_y = slice(max(-y, 0), min(grid.window, height - y))
            inside_x = slice(max(-x, 0), min(grid.window, width - x))
            truth = image[max(y, 0) : y + inside_y.stop, max(x, 0) : x + inside_x.stop]
            np.testing.assert_array_equal(windows[row, column, inside_y, inside_x], truth)


@given(images(), grids, st.integers(1, 5))
def test_windows_band_by_band_are_those_of_the_whole_image(
    image: np.ndarray, grid: TileGrid, tile_rows: int
) -> None:
    height = len(image)
    asked = [(0, 0)]

    def rows(start: int, stop: int) -> np.ndarray:
        assert asked[-1][0] <= start < stop <= height
        assert stop >= asked[-1][1]
        asked.append((start, stop))
        return image[start:stop].copy()

    step = tile_rows * grid.tile
    bands = [grid.windows_between(rows, top, min(top + step, height), height) for top in range(0, height, step)]
    np.testing.assert_array_equal(np.concatenate(bands), grid.windows(image))
    margin = 2 * (grid.tile + grid.halo)
    assert max(stop - start for start, stop in asked) <= step + margin


@given(images(), grids)
def test_cut_is_contiguous_and_row_major(image: np.ndarray, grid: TileGrid) -> None:
    tiles = np.arange(grid.count(*image.shape[:2]))
    cut = take(grid.windows(image), tiles)
    assert cut.flags.c_contiguous
    np.testing.assert_array_equal(cut, grid.windows(image).reshape(cut.shape))


@pytest.mark.parametrize(
    ("height", "width", "shape"),
    [(1, 1, (1, 1)), (32, 32, (1, 1)), (33, 32, (2, 1)), (64, 65, (2, 3)), (31, 200, (1, 7))],
)
def test_shape_covers_the_image_completely(height: int, width: int, shape: tuple[int, int]) -> None:
    grid = TileGrid(32, 2)
    assert grid.shape(height, width) == shape
    assert grid.count(height, width) == shape[0] * shape[1]
    assert grid.window == 36


def test_reflection_is_about_the_border_pixel_and_may_exceed_the_image() -> None:
    row = np.array([[1, 2, 3]], np.uint8)
    assert reflect(row, 0, 0, 2, 5).tolist() == [[3, 2, 1, 2, 3, 2, 1, 2, 3, 2]]
    assert reflect(np.array([[7]], np.uint8), 2, 1, 0, 3).tolist() == [[7] * 4] * 4


def test_reflect_keeps_a_single_channel_and_takes_reversed_views() -> None:
    image = np.arange(24, dtype=np.uint16).reshape(4, 2, 3)
    assert reflect(image[..., :1], 1, 1, 1, 1).shape == (6, 4, 1)
    np.testing.assert_array_equal(reflect(image[..., ::-1], 0, 0, 0, 0), image[..., ::-1])


@pytest.mark.parametrize(("tile", "halo"), [(0, 2), (-1, 0), (32, -1)])
def test_impossible_grids_are_refused(tile: int, halo: int) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        TileGrid(tile, halo)


def test_an_incomplete_image_is_refused() -> None:
    stitcher = Stitcher(TileGrid(2, 0), 4, 2, 1, np.dtype(np.uint8), 1)
    stitcher.add(np.array([0]), np.zeros((1, 2, 2, 1), np.uint8))
    with pytest.raises(ValueError, match="1 tiles are missing"):
        stitcher.image()
