"""Edge scores."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.score import edge_scores, laplacian_map
from arm_batch.core.tiles import TileGrid


def noise(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def test_flat_images_have_no_edges():
    assert not laplacian_map(np.full((5, 7, 3), 200, np.uint8)).any()


def test_a_dot_has_the_response_of_the_3x3_kernel_saturated():
    image = np.zeros((5, 5, 1), np.uint8)
    image[2, 2] = 10
    expected = np.zeros((5, 5))
    expected[1:4, 1:4] = [[20, 0, 20], [0, 80, 0], [20, 0, 20]]
    np.testing.assert_array_equal(laplacian_map(image), expected)
    image[2, 2] = 200
    assert laplacian_map(image)[2, 2] == 255


def test_the_luma_is_the_one_of_the_published_code_on_bgr():
    rgb = noise(64, 64, 3)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    expected = cv2.convertScaleAbs(cv2.Laplacian(grey, cv2.CV_16S, ksize=3))
    np.testing.assert_array_equal(laplacian_map(rgb), expected)
    np.testing.assert_array_equal(laplacian_map(bgr[..., ::-1]), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_images_score_as_their_eight_bit_versions(channels):
    image = noise(40, 33, channels)
    wide = image.astype(np.uint16) * 257
    grid = TileGrid(16, 2)
    np.testing.assert_allclose(edge_scores(wide, grid), edge_scores(image, grid), atol=1.5)
    if channels == 1:
        np.testing.assert_array_equal(laplacian_map(wide), laplacian_map(image))


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(1, 16), st.integers(0, 3))
def test_scores_are_the_means_over_tiles_whatever_the_halo(height, width, channels, tile, halo):
    image = noise(height, width, channels)
    scores = edge_scores(image, TileGrid(tile, halo))
    edges = laplacian_map(image)[..., None]
    expected = TileGrid(tile, 0).windows(edges).mean(axis=(2, 3, 4)).ravel()
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
