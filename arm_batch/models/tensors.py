"""Pixels as networks see them, and interpolation in the form of a network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from arm_batch.core.arrays import Pixels

Forward = Callable[[Tensor], Tensor]
"""RGB in [0, 1], ``(n, 3, h, w)`` to ``(n, 3, scale * h, scale * w)``, not clamped."""


def bicubic(scale: int) -> Forward:
    """Bicubic interpolation by torch (a = -0.75, border pixels repeated), in the form of a network."""
    return partial(F.interpolate, scale_factor=float(scale), mode="bicubic", align_corners=False)


def to_tensor(pixels: Pixels) -> Tensor:
    """uint8 RGB ``(n, h, w, 3)`` to float32 ``(n, 3, h, w)`` in [0, 1]."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).to(torch.float32).div_(255)


def to_pixels(tensor: Tensor) -> Pixels:
    """Float RGB ``(n, 3, h, w)`` to uint8 ``(n, h, w, 3)``, clamped to [0, 1] and rounded."""
    grey_levels = tensor.clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.ascontiguousarray(grey_levels.permute(0, 2, 3, 1).numpy())
