"""CARN-M: cascading residual blocks with grouped convolutions and weights shared inside a block.

Source: Ahn, Kang and Sohn, "Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual
Network", ECCV 2018, with the state-dict names of ARM (Chen et al., ECCV 2022).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arm_batch.models.backbones.layers import MeanShift, scale_initial_weights

GROUPS = 4
RGB_MEAN = (0.4488, 0.4371, 0.4040)

INITIAL_GAIN = 0.3
CARRIED = 6
"""Channels that carry the image at first: red, green and blue, and their negatives."""


class ResidualBlock(nn.Module):
    """Two grouped 3x3 convolutions and a 1x1 that mixes the groups, around a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=GROUPS),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, groups=GROUPS),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + x)


def fuse(width: int, inputs: int) -> nn.Sequential:
    """The 1x1 convolution that folds `inputs` concatenated feature maps back into one."""
    return nn.Sequential(nn.Conv2d(width * inputs, width, 1), nn.ReLU())


class CascadingBlock(nn.Module):
    """One residual block applied three times (shared weights), each time fused with all before it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.b1 = ResidualBlock(width)
        self.c1 = fuse(width, 2)
        self.c2 = fuse(width, 3)
        self.c3 = fuse(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        return cascade(x, (self.b1, self.b1, self.b1), (self.c1, self.c2, self.c3))


def cascade(x: Tensor, blocks: tuple[nn.Module, ...], fusions: tuple[nn.Sequential, ...]) -> Tensor:
    """Feed each block the fusion of everything that came before it."""
    seen = out = x
    for block, fusion in zip(blocks, fusions, strict=True):
        seen = torch.cat([seen, block(out)], dim=1)
        out = fusion(seen)
    return out


class Upsampler(nn.Module):
    """Grouped convolutions and pixel shuffles: x2 twice for scale 4, else one step."""

    def __init__(self, width: int, scale: int) -> None:
        super().__init__()
        steps = [2, 2] if scale == 4 else [scale]
        layers: list[nn.Module] = []
        for step in steps:
            layers += [
                nn.Conv2d(width, step * step * width, 3, padding=1, groups=GROUPS),
                nn.ReLU(),
                nn.PixelShuffle(step),
            ]
        self.up = nn.ModuleDict({"body": nn.Sequential(*layers)})

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.up["body"](x)
        return out


class CarnM(nn.Module):
    """RGB in [0, 1], ``(n, 3, h, w)`` to ``(n, 3, scale * h, scale * w)``; `width` a multiple of 4."""

    def __init__(self, width: int, scale: int) -> None:
        super().__init__()
        self.sub_mean = MeanShift(RGB_MEAN, sign=-1)
        self.add_mean = MeanShift(RGB_MEAN, sign=1)
        self.entry = nn.Conv2d(3, width, 3, padding=1)
        self.b1 = CascadingBlock(width)
        self.b2 = CascadingBlock(width)
        self.b3 = CascadingBlock(width)
        self.c1 = fuse(width, 2)
        self.c2 = fuse(width, 3)
        self.c3 = fuse(width, 4)
        self.upsample = Upsampler(width, scale)
        self.exit = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.entry(self.sub_mean(x))
        features = cascade(features, (self.b1, self.b2, self.b3), (self.c1, self.c2, self.c3))
        out: Tensor = self.add_mean(self.exit(self.upsample(features)))
        return out


def start_as_interpolation(net: CarnM) -> None:
    """Initial weights with which the network and its subnets interpolate bilinearly, at x4 twice by 2.

    CARN has no skip from input to output either (see `fsrcnn.start_as_interpolation`). ReLU passes what is
    positive, so channels 0 to 2 carry the image and 3 to 5 its negative. At every width of 24 or more they are in
    the first group of grouped convolutions and in the first map of fusions. The others start random, and small, so
    that fewer units die early.
    """
    scale_initial_weights(net, INITIAL_GAIN)
    cascades = (net.b1, net.b2, net.b3)
    with torch.no_grad():
        entry = net.entry.weight
        entry /= INITIAL_GAIN
        entry[:CARRIED] = 0
        entry[range(3), range(3), 1, 1] = 1
        entry[range(3, 6), range(3), 1, 1] = -1
        for cascading in cascades:
            _weight(cascading.b1.body[-1])[:CARRIED] = 0
        for owner in (*cascades, net):
            for fusion in (owner.c1, owner.c2, owner.c3):
                weight = _weight(fusion)
                weight[:CARRIED] = torch.eye(CARRIED, weight.shape[1])[:, :, None, None]
        for layer in net.upsample.modules():
            if isinstance(layer, nn.Conv2d):
                kernels = bilinear_kernels(math.isqrt(layer.out_channels // layer.in_channels))
                carrying = layer.weight[: CARRIED * len(kernels)].zero_()
                carrying = carrying.view(CARRIED, len(kernels), *carrying.shape[1:])
                carrying[range(CARRIED), :, range(CARRIED)] = kernels
        net.exit.weight.zero_()
        net.exit.weight[range(3), range(3), 1, 1] = 1
        net.exit.weight[range(3), range(3, 6), 1, 1] = -1


def bilinear_kernels(step: int) -> Tensor:
    """What each of the ``step * step`` px, row by row, that an LR px becomes takes from its 3x3 neighbours."""
    places = (torch.arange(step) + 0.5) / step - 0.5
    triangle = (1 - (torch.arange(-1, 2) - places[:, None]).abs()).clamp_min(0)
    return torch.einsum("py,qx->pqyx", triangle, triangle).flatten(0, 1)


def _weight(layer: nn.Module) -> Tensor:
    """The kernel of a convolution, or of the first one in a sequence."""
    return next(layer.parameters())
