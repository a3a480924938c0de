"""A plain residual network of our own: 3x3 convolutions at LR resolution on top of a bilinear base image.

Only 3x3 convolutions, because on CPUs they run three to six times as fast per FLOP as grouped ones, 1x1 ones and
large kernels; all at LR resolution, with the pixel shuffle last, because there a pixel costs least.
After EDSR (Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPR Workshops
2017) and ECBSR (Zhang, Zeng and Zhang, "Edge-oriented Convolution Block for Real-time Super Resolution on Mobile
Devices", ACM Multimedia 2021).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = 3


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, around a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(width, width, 3, padding=1)
        self.project = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.project(F.relu(self.expand(x)))
        return x + residual


class Plain(nn.Module):
    """RGB in [0, 1], ``(n, 3, h, w)`` to ``(n, 3, scale * h, scale * w)``."""

    def __init__(self, width: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(width) for _ in range(BLOCKS)))
        self.tail = nn.Conv2d(width, 3 * scale * scale, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        detail = F.pixel_shuffle(self.tail(self.body(self.head(x))), self.scale)
        base = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return detail + base
