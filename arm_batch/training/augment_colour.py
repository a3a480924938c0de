"""Training crops in more colours than a few photographs have."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

SATURATION = (0.5, 2.5)
MAX_CONTRAST = 3.0


def color_jitter(crops: Tensor, rng: np.random.Generator) -> Tensor:
    """The same scenes in other colours.

    Each crop gets its channels in random order (Yoo, Ahn & Sohn, "Rethinking Data Augmentation for Image
    Super-resolution", CVPR 2020) and with a chance of one half becomes its negative. With a chance of one half it
    also gets another saturation and more contrast, and what leaves [0, 1] is clipped: that makes the clean edges
    between flat, saturated areas that print, signs and flowers have and most photographs lack.

    Clipping does not commute with the reduction that makes LR images: reduce afterwards.

    Args:
        crops: ``(n, 3, h, w)`` in [0, 1].
        rng: what is drawn depends on it and on n alone.
    """
    count = len(crops)
    order = torch.from_numpy(rng.permuted(np.tile(np.arange(3), (count, 1)), axis=1))
    varied = crops.gather(1, order[:, :, None, None].to(crops.device).expand_as(crops))
    varied = torch.where(per_crop(rng.random(count) < 0.5, crops), 1 - varied, varied)
    vivid = _vivid(
        varied,
        saturation=per_crop(rng.uniform(*SATURATION, count), crops),
        contrast=per_crop(np.exp(rng.uniform(0, math.log(MAX_CONTRAST), count)), crops),
    )
    return torch.where(per_crop(rng.random(count) < 0.5, crops), vivid, varied)


def _vivid(crops: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """Colours drawn away from grey, then from the crop's mean colour."""
    grey = crops.mean(dim=1, keepdim=True)
    saturated = grey + saturation * (crops - grey)
    mean = saturated.mean(dim=(2, 3), keepdim=True)
    return (mean + contrast * (saturated - mean)).clamp(0, 1)


def per_crop(values: np.ndarray, crops: Tensor) -> Tensor:
    """One value for each crop, on its device and in its type unless they are booleans."""
    tensor = torch.from_numpy(values).to(crops.device, non_blocking=True)[:, None, None, None]
    return tensor if tensor.dtype == torch.bool else tensor.to(crops.dtype)
