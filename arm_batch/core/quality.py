"""Image quality measures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

PEAK = 255.0


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


def luma(rgb: Array) -> NDArray[np.float64]:
    """The Y of ITU-R BT.601 (16..235), as MATLAB's ``rgb2ycbcr`` gives it, unrounded.

    Args:
        rgb: ``(h, w, 3)``, 0..255.

    Returns:
        float64 ``(h, w)``.
    """
    weights = np.array([65.481, 128.553, 24.966]) / 255
    return np.asarray(rgb, np.float64) @ weights + 16
