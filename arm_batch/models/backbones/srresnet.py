"""SRResNet without batch normalisation: 16 residual blocks on top of a bilinear base image.

Source: Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial
Network", CVPR 2017, in the form of ARM (Chen et al., ECCV 2022), whose state-dict names it keeps.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = 16


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, around a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.conv2(F.relu(self.conv1(x)))
        return x + residual


class SrResNet(nn.Module):
    """RGB in [0, 1], ``(n, 3, h, w)`` to ``(n, 3, scale * h, scale * w)``."""

    def __init__(self, width: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        step = 2 if scale == 4 else scale
        self.conv_first = nn.Conv2d(3, width, 3, padding=1)
        self.recon_trunk = nn.Sequential(*(ResidualBlock(width) for _ in range(BLOCKS)))
        self.upconv1 = nn.Conv2d(width, step * step * width, 3, padding=1)
        self.upconv2 = nn.Conv2d(width, 4 * width, 3, padding=1) if scale == 4 else None
        self.pixel_shuffle = nn.PixelShuffle(step)
        self.HRconv = nn.Conv2d(width, width, 3, padding=1)
        self.conv_last = nn.Conv2d(width, 3, 3, padding=1)
        self.lrelu = nn.LeakyReLU(0.1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.recon_trunk(self.lrelu(self.conv_first(x)))
        features = self.lrelu(self.pixel_shuffle(self.upconv1(features)))
        if self.upconv2 is not None:
            features = self.lrelu(self.pixel_shuffle(self.upconv2(features)))
        detail: Tensor = self.conv_last(self.lrelu(self.HRconv(features)))
        base = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return detail + base
