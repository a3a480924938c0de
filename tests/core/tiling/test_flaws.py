"""What is no detail: blocks of JPEG and noise."""

import cv2
import numpy as np
import pytest

from arm_batch.core.tiling.flaws import flaw_features
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.core.tiling.scores import Score, score_rows, score_tiles
from tests.archives import draw
from tests.image_files import by_opencv

TILE = 16
SEEING = (Score("gain", (1.0, 0.5, 0.1, 0.2, 0.3, -0.2, 0.1, 0.05)), Score("level", (0.0,) * 5))


def features(image: np.ndarray) -> np.ndarray:
    return flaw_features(image, slice(0, len(image)), TILE)


def test_a_ramp_has_no_flaws() -> None:
    y, x = np.mgrid[:32, :48]
    ramp = (2 * x + y).astype(np.uint8)[..., None]
    inner = features(ramp)[1:-1]
    assert inner.max() < 3


@pytest.mark.parametrize("turned", [False, True])
def test_steps_at_the_borders_of_blocks_are_blockiness(turned: bool) -> None:
    blocks = np.zeros((32, 48), np.uint8)
    blocks[:, 8::16] = 9
    steps = np.repeat(blocks[:, ::8], 8, axis=1)
    at_borders, between, _ = features((steps.T if turned else steps)[..., None].copy()).T
    assert at_borders.min() > 10
    assert between.max() == 0


def test_steps_elsewhere_are_none() -> None:
    steps = np.repeat(np.arange(6, dtype=np.uint8) * 20, 8)[None].repeat(32, axis=0)
    moved = np.roll(steps, 4, axis=1)[..., None].copy()
    at_borders, between, _ = features(moved)[1:2].T
    assert between > 50 * (at_borders + 1e-9)


def test_jpeg_is_told_from_what_it_was_made_of() -> None:
    image = draw(3, 96, 96)
    written, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 25])
    assert written
    jpeg = np.ascontiguousarray(by_opencv(data.tobytes())[..., ::-1])
    ratio = [np.mean(found[:, 0]) / np.mean(found[:, 1]) for found in map(features, (image, jpeg))]
    assert ratio[1] > 1.5 * ratio[0]


@pytest.mark.parametrize("sigma", [2.0, 6.0])
def test_the_variance_of_noise_is_told(sigma: float) -> None:
    noise = np.random.default_rng(0).normal(0, sigma, (160, 160, 1)) + 128
    found = features(np.rint(noise).astype(np.uint8))[:, 2].mean()
    assert found == pytest.approx(sigma**2, rel=0.1)


def test_reading_in_rows_gives_the_same() -> None:
    image = np.random.default_rng(1).integers(0, 256, (700, 40, 3), np.uint8)
    grid = TileGrid(TILE, 2)
    whole = score_tiles(SEEING, image, grid)
    assert whole.shape == (44 * 3, 2)
    np.testing.assert_array_equal(score_rows(SEEING, lambda a, b: image[a:b].copy(), 700, 40, grid), whole)
