"""Image quality measures."""

from __future__ import annotations

import cv2
import numpy as np

from arm_batch.core.arrays import Array, Floats

PEAK = 255.0

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_STABILISERS = ((0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2)


def psnr_of_mse(mse: Array | float) -> Array:
    """PSNR in dB for a mean squared error in squared 8-bit grey levels; infinite for 0."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(PEAK**2 / np.asarray(mse, np.float64))


def mean_squared_error(image: Array, reference: Array, shave: int = 0) -> float:
    """Mean squared difference in 8-bit grey levels, leaving out `shave` px at each border.

    Args:
        image: ``(h, w)`` or ``(h, w, c)``, 0..255.
        reference: same shape.
        shave: px.
    """
    if image.shape != reference.shape:
        raise ValueError(f"shapes differ: {image.shape} and {reference.shape}")
    inner = (slice(shave, image.shape[0] - shave), slice(shave, image.shape[1] - shave))
    difference = image[inner].astype(np.float64) - reference[inner].astype(np.float64)
    return float(np.mean(difference**2))


def psnr(image: Array, reference: Array, shave: int = 0) -> float:
    """PSNR in dB of `image` against `reference`; arguments as for `mean_squared_error`."""
    return float(psnr_of_mse(mean_squared_error(image, reference, shave)))


def ssim(image: Array, reference: Array, shave: int = 0) -> float:
    """Structural similarity of two single-channel images, averaged where the whole window fits.

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE
    Transactions on Image Processing 2004, with its Gaussian window of 11 px.

    Args:
        image: ``(h, w)``, 0..255.
        reference: same shape.
        shave: px left out at each border.

    Raises:
        ValueError: shapes differ, or what is left is smaller than the window.
    """
    if image.shape != reference.shape:
        raise ValueError(f"shapes differ: {image.shape} and {reference.shape}")
    inner = (slice(shave, image.shape[0] - shave), slice(shave, image.shape[1] - shave))
    x, y = image[inner].astype(np.float64), reference[inner].astype(np.float64)
    if min(x.shape) < SSIM_WINDOW:
        raise ValueError(f"{x.shape[1]}x{x.shape[0]} px are too few for a window of {SSIM_WINDOW}")
    mean_x, mean_y = _window_means(x), _window_means(y)
    variances = _window_means(x * x) - mean_x**2 + _window_means(y * y) - mean_y**2
    covariance = _window_means(x * y) - mean_x * mean_y
    c1, c2 = SSIM_STABILISERS
    structure = (2 * covariance + c2) / (variances + c2)
    brightness = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return float(np.mean(structure * brightness))


def _window_means(values: Floats) -> Array:
    """Gaussian means of every whole window."""
    kernel = cv2.getGaussianKernel(SSIM_WINDOW, SSIM_SIGMA)
    margin = SSIM_WINDOW // 2
    return cv2.sepFilter2D(values, cv2.CV_64F, kernel, kernel)[margin:-margin, margin:-margin]


def luma(rgb: Array) -> Floats:
    """The Y of ITU-R BT.601 (16..235), as MATLAB's ``rgb2ycbcr`` gives it, unrounded.

    Args:
        rgb: ``(h, w, 3)``, 0..255.

    Returns:
        float64 ``(h, w)``.
    """
    weights = np.array([65.481, 128.553, 24.966]) / 255
    return np.asarray(rgb, np.float64) @ weights + 16
