"""A deep plain network: 3x3 convolutions at LR resolution, narrow subnets shallower, on a bilinear base image.

At equal cost many narrow layers reach more than few wide ones. Blocks are two convolutions behind a SiLU each,
around a skip (pre-activation: He, Zhang, Ren & Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016); all
at LR resolution, with the pixel shuffle last, because there a pixel costs least. A narrow subnet runs the first
channels of the first blocks. It leaves the body where wider ones go on, so each has a last layer of its own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arm_batch.models.backbones.layers import scale_initial_weights

BLOCKS = {16: 3, 24: 6, 32: 8}
"""Of each width: 22, 75 and 166 million multiply-adds for 32x32 px at x4."""


class PreactivatedBlock(nn.Module):
    """SiLU, convolution, SiLU, convolution, around a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.second(F.silu(self.first(F.silu(x))))
        return x + residual


class Deep(nn.Module):
    """RGB in [0, 1], ``(n, 3, h, w)`` to ``(n, 3, scale * h, scale * w)``; `width` is a key of `BLOCKS`.

    It also holds the last layers of all narrower subnets, so that the widest one is the supernet.
    """

    def __init__(self, width: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.exit = str(width)
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(PreactivatedBlock(width) for _ in range(BLOCKS[width])))
        exits = [narrower for narrower in BLOCKS if narrower <= width]
        self.tails = nn.ModuleDict({str(w): nn.Conv2d(w, 3 * scale * scale, 3, padding=1) for w in exits})

    def forward(self, x: Tensor) -> Tensor:
        detail = F.pixel_shuffle(self.tails[self.exit](self.body(self.head(x))), self.scale)
        base = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return detail + base


def start_with_small_residuals(net: Deep) -> None:
    """He-normal weights, but a tenth of them where something is added to what is carried on.

    With a tenth everywhere, as for `plain`, so little comes through the depth that nothing is learnt for long.
    """
    scale_initial_weights(net, 1.0)
    with torch.no_grad():
        for block in net.body:
            assert isinstance(block, PreactivatedBlock)
            block.second.weight.mul_(0.1)
        for tail in net.tails.values():
            assert isinstance(tail, nn.Conv2d)
            tail.weight.mul_(0.1)
