"""Scores of tiles."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arm_batch.core.tiling.detail import N_FEATURES, detail_features, grey_levels, octave_energy
from arm_batch.core.tiling.flaws import N_FLAWS, flaw_features
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.core.tiling.scores import (
    FITTED,
    MEASURED,
    Score,
    laplacian_map,
    score_rows,
    score_tiles,
    tile_features,
)
from arm_batch.errors import LadderError

ALL = [Score("laplacian"), Score("octave"), Score("gain", (1.0, 0.5, 0.1, 0.2, 0.3)), Score("level", (0.0,) * 5)]


def noise(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def test_flat_images_have_no_detail() -> None:
    flat = np.full((5, 7, 3), 200, np.uint8)
    assert not laplacian_map(flat).any()
    assert octave_energy(grey_levels(flat)).max() < 1e-6


def test_a_dot_has_the_response_of_the_3x3_kernel_saturated() -> None:
    image = np.zeros((5, 5, 1), np.uint8)
    image[2, 2] = 10
    expected = np.zeros((5, 5))
    expected[1:4, 1:4] = [[20, 0, 20], [0, 80, 0], [20, 0, 20]]
    np.testing.assert_array_equal(laplacian_map(image), expected)
    image[2, 2] = 200
    assert laplacian_map(image)[2, 2] == 255


def test_the_luma_is_the_one_of_the_published_code_on_bgr() -> None:
    rgb = noise(64, 64, 3)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    expected = cv2.convertScaleAbs(cv2.Laplacian(grey, cv2.CV_16S, ksize=3))
    np.testing.assert_array_equal(laplacian_map(rgb), expected)
    np.testing.assert_array_equal(laplacian_map(bgr[..., ::-1]), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_images_score_as_their_eight_bit_versions(channels: int) -> None:
    image = noise(40, 33, channels)
    wide = image.astype(np.uint16) * 257
    grid = TileGrid(16, 2)
    np.testing.assert_allclose(score_tiles(ALL, wide, grid), score_tiles(ALL, image, grid), rtol=0.02)
    if channels == 1:
        np.testing.assert_array_equal(laplacian_map(wide), laplacian_map(image))


def test_the_octave_is_what_halving_and_doubling_lose() -> None:
    # A checkerboard halves to plain grey: everything is lost. A ramp nearly survives.
    y, x = np.mgrid[:32, :48]
    board = (100 + 20 * ((x + y) % 2)).astype(np.float32)
    np.testing.assert_allclose(octave_energy(board), 100, rtol=1e-5)
    ramp = (2 * x + y).astype(np.float32)
    assert octave_energy(ramp)[4:-4, 4:-4].max() < 0.1


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (3, 3), (7, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_smallest_images_have_scores(size: tuple[int, int], channels: int) -> None:
    scores = score_tiles(ALL, noise(*size, channels), TileGrid(8, 0))
    assert scores.shape == (1, 4)
    assert np.isfinite(scores).all()


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(1, 16), st.integers(0, 3))
def test_measured_scores_are_the_means_over_tiles_whatever_the_halo(
    height: int, width: int, channels: int, tile: int, halo: int
) -> None:
    image = noise(height, width, channels)
    scores = score_tiles(ALL[:2], image, TileGrid(tile, halo))
    assert scores.dtype == np.float32
    maps: tuple[np.ndarray, ...] = (laplacian_map(image), octave_energy(grey_levels(image)))
    for column, values in enumerate(maps):
        expected = [
            values[y : y + tile, x : x + tile].sum() / tile**2
            for y in range(0, height, tile)
            for x in range(0, width, tile)
        ]
        np.testing.assert_allclose(scores[:, column], expected, rtol=1e-4, atol=1e-4)


@given(st.integers(250, 620), st.integers(1, 40), st.sampled_from([1, 3, 8, 24]))
@settings(max_examples=20)
def test_bands_do_not_show(height: int, width: int, tile: int) -> None:
    image = noise(height, width, 1)
    values = octave_energy(grey_levels(image))
    expected = [
        values[y : y + tile, x : x + tile].sum() / tile**2
        for y in range(0, height, tile)
        for x in range(0, width, tile)
    ]
    np.testing.assert_allclose(score_tiles(ALL[1:2], image, TileGrid(tile, 0))[:, 0], expected, rtol=1e-4)
    if tile % 8 == 0:
        every = slice(0, height)
        whole = np.hstack([detail_features(image, every, tile), flaw_features(image, every, tile)])
        np.testing.assert_allclose(tile_features(image, TileGrid(tile, 2)), whole, rtol=1e-4, atol=1e-4)


@given(st.integers(1, 620), st.integers(1, 40), st.sampled_from([1, 3]), st.sampled_from([8, 24]))
@settings(max_examples=20)
def test_rows_that_are_read_once_from_the_top_score_exactly_as_the_whole_image(
    height: int, width: int, channels: int, tile: int
) -> None:
    image = noise(height, width, channels)
    before = (0, 0)

    def rows(start: int, stop: int) -> np.ndarray:
        nonlocal before
        assert before[0] <= start < stop <= height
        assert before[1] <= stop
        before = (start, stop)
        return image[start:stop].copy()

    grid = TileGrid(tile, 2)
    np.testing.assert_array_equal(score_rows(ALL, rows, height, width, grid), score_tiles(ALL, image, grid))


def test_very_wide_images_are_scored_in_few_rows_at_a_time() -> None:
    asked = []

    def rows(start: int, stop: int) -> np.ndarray:
        asked.append(stop - start)
        return np.zeros((stop - start, 2**17, 1), np.uint8)

    score_rows(ALL[:1], rows, 256, 2**17, TileGrid(32, 2))
    assert max(asked) < 64 + 32


def test_features_are_what_they_say() -> None:
    image = noise(16, 16, 1)
    energy = octave_energy(grey_levels(image))
    plain, peaks2, coherent, peaks8 = tile_features(image, TileGrid(16, 0))[0, :N_FEATURES]

    def blocks(side: int) -> np.ndarray:
        return np.asarray(energy.reshape(16 // side, side, 16 // side, side).mean(axis=(1, 3)))

    assert plain == pytest.approx(energy.mean(), rel=1e-5)
    assert peaks2 == pytest.approx(np.sqrt((blocks(2) ** 2).mean()), rel=1e-5)
    assert peaks8 == pytest.approx(np.sqrt((blocks(8) ** 2).mean()), rel=1e-5)
    assert 0 < coherent < plain


def test_edges_are_coherent_and_noise_is_not() -> None:
    x = np.mgrid[:32, :32][1]
    stripes = np.where(x % 6 < 3, 60, 180).astype(np.uint8)[..., None]
    shares = [f[2] / f[0] for f in (tile_features(i, TileGrid(32, 0))[0] for i in (stripes, noise(32, 32, 1)))]
    assert shares[0] > 0.75
    assert shares[1] < 0.6


def test_scores_rank_by_the_fitted_weights() -> None:
    image = noise(64, 64, 3)
    features = tile_features(image, TileGrid(16, 2))
    gain = ALL[2]
    logs = np.log(features[:, :N_FEATURES].astype(np.float64) + 0.01)
    expected = np.exp(logs @ np.array(gain.weights[1:]) + gain.weights[0])
    np.testing.assert_allclose(score_tiles([gain], image, TileGrid(16, 2))[:, 0], expected, rtol=1e-5)
    assert features.shape == (16, N_FEATURES + N_FLAWS)


def test_fitted_scores_need_tiles_that_blocks_do_not_straddle() -> None:
    with pytest.raises(LadderError, match="multiple of 8 px, not 12"):
        score_tiles(ALL[3:], noise(24, 24, 1), TileGrid(12, 0))


@pytest.mark.parametrize(
    ("name", "weights"), [("edge", ()), ("octave", (1.0,)), ("gain", ()), ("level", (1.0, 2.0))]
)
def test_unknown_scores_and_wrong_weights_are_refused(name: str, weights: tuple[float, ...]) -> None:
    with pytest.raises(LadderError, match="score"):
        Score(name, weights)
    assert {s.name for s in ALL} == set(MEASURED + FITTED)
