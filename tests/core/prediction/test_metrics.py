"""Image quality measures."""

import math

import numpy as np
import pytest

from arm_batch.core.prediction.metrics import luma, mean_squared_error, psnr, psnr_of_mse, ssim


@pytest.mark.parametrize(("mse", "db"), [(1.0, 48.1308036), (65025.0, 0.0), (0.0, math.inf), (100.0, 28.1308036)])
def test_psnr_of_mse(mse: float, db: float) -> None:
    assert float(psnr_of_mse(mse)) == pytest.approx(db)


def test_differences_of_bytes_do_not_wrap_around() -> None:
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert mean_squared_error(black, white) == mean_squared_error(white, black) == 255**2
    assert psnr(black, black) == math.inf


def test_shave_leaves_out_the_border() -> None:
    image, other = np.zeros((6, 7), np.uint8), np.zeros((6, 7), np.uint8)
    other[0], other[:, -1] = 255, 255
    other[2, 2] = 3
    assert mean_squared_error(image, other, shave=1) == pytest.approx(9 / 20)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        psnr(np.zeros((2, 2)), np.zeros((2, 2, 1)))


@pytest.mark.parametrize(
    ("rgb", "y"),
    [
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),
        ((255, 0, 0), 81.481),
        ((0, 255, 0), 144.553),
        ((0, 0, 255), 40.966),
    ],
)
def test_luma_is_that_of_matlab(rgb: tuple[int, int, int], y: float) -> None:
    assert luma(np.array([[rgb]], np.uint8))[0, 0] == pytest.approx(y)


@pytest.mark.parametrize("shave", [0, 4])
@pytest.mark.parametrize("strength", [1.0, 30.0])
def test_ssim_is_that_of_scikit_image(shave: int, strength: float) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    rng = np.random.default_rng(0)
    reference = rng.uniform(0, 255, (40, 33)).cumsum(axis=0) % 255
    image = (reference + rng.normal(0, strength, reference.shape)).clip(0, 255)
    expected = metrics.structural_similarity(
        image[shave : 40 - shave, shave : 33 - shave],
        reference[shave : 40 - shave, shave : 33 - shave],
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(image, reference, shave) == pytest.approx(expected, abs=1e-9)


def test_ssim_is_one_for_equal_images_and_needs_a_whole_window() -> None:
    image = np.random.default_rng(0).integers(0, 256, (11, 12), np.uint8)
    assert ssim(image, image) == pytest.approx(1)
    with pytest.raises(ValueError, match="too few for a window of 11"):
        ssim(image, image, shave=1)
    with pytest.raises(ValueError, match="shapes differ"):
        ssim(image, image[:, :11])
