"""Cutting and stitching: every pixel survives, halos are the true surroundings."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.tiling.grid import Cells, Stitcher, TileGrid, Windows

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
        window = grid.windows(image).take(np.array([tile])).pixels
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
    cells = grid.windows(image)
    windows = cells.pixels
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
            inside = [inside_y.start, inside_y.stop, inside_x.start, inside_x.stop]
            taken = cells.take(np.array([row * columns + column]))
            assert taken.inside.tolist() == [inside]
            assert taken.at_border.tolist() == [inside != [0, grid.window, 0, grid.window]]
            beyond = ((inside_y.start, grid.window - inside_y.stop), (inside_x.start, grid.window - inside_x.stop))
            expected = np.pad(truth, (*beyond, (0, 0)), "edge")
            np.testing.assert_array_equal(windows[row, column], expected)


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
    whole = grid.windows(image)
    pixels, inside = (np.concatenate(parts) for parts in zip(*(band[:2] for band in bands), strict=True))
    joined = Cells(pixels, inside, bands[0].columns)
    for found, expected in zip(joined, whole, strict=True):
        np.testing.assert_array_equal(found, expected)
    margin = 2 * grid.halo
    assert max(stop - start for start, stop in asked) <= step + margin


@given(images(), grids)
def test_cut_is_contiguous_and_row_major(image: np.ndarray, grid: TileGrid) -> None:
    tiles = np.arange(grid.count(*image.shape[:2]))
    cut = grid.windows(image).take(tiles).pixels
    assert cut.flags.c_contiguous
    np.testing.assert_array_equal(cut, grid.windows(image).pixels.reshape(cut.shape))


@pytest.mark.parametrize(
    ("height", "width", "shape"),
    [(1, 1, (1, 1)), (32, 32, (1, 1)), (33, 32, (2, 1)), (64, 65, (2, 3)), (31, 200, (1, 7))],
)
def test_shape_covers_the_image_completely(height: int, width: int, shape: tuple[int, int]) -> None:
    grid = TileGrid(32, 2)
    assert grid.shape(height, width) == shape
    assert grid.count(height, width) == shape[0] * shape[1]
    assert grid.window == 36


def test_windows_within_an_image_are_not_at_its_border() -> None:
    assert not Windows.within(np.zeros((3, 5, 5, 1), np.uint8)).at_border.any()


@pytest.mark.parametrize(("tile", "halo"), [(0, 2), (-1, 0), (32, -1)])
def test_impossible_grids_are_refused(tile: int, halo: int) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        TileGrid(tile, halo)


def test_an_incomplete_image_is_refused() -> None:
    stitcher = Stitcher(TileGrid(2, 0), 4, 2, 1, np.dtype(np.uint8), 1)
    stitcher.add(np.array([0]), np.zeros((1, 2, 2, 1), np.uint8))
    with pytest.raises(ValueError, match="1 tiles are missing"):
        stitcher.image()
