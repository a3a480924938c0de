"""FSRCNN: a thin mapping at LR resolution and one transposed convolution.

Source: Dong, Loy and Tang, "Accelerating the Super-Resolution Convolutional Neural Network", ECCV 2016,
in the three-channel form of ARM (Chen et al., ECCV 2022), whose state-dict names it keeps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from arm_batch.models.backbones.layers import SubpixelConvTranspose2d, scale_initial_weights

MAPPING_CHANNELS = 12
MAPPING_LAYERS = 4


class Fsrcnn(nn.Module):
    """RGB in [0, 1], ``(n, 3, h, w)`` to ``(n, 3, scale * h, scale * w)``."""

    def __init__(self, width: int, scale: int) -> None:
        super().__init__()
        mid = MAPPING_CHANNELS
        self.head_conv = nn.Sequential(nn.Conv2d(3, width, 5, padding=2), nn.PReLU())
        self.body_conv = nn.Sequential(
            nn.Sequential(nn.Conv2d(width, mid, 1), nn.PReLU()),
            *(nn.Conv2d(mid, mid, 3, padding=1) for _ in range(MAPPING_LAYERS)),
            nn.PReLU(),
            nn.Sequential(nn.Conv2d(mid, width, 1), nn.PReLU()),
        )
        self.tail_conv = SubpixelConvTranspose2d(width, 3, kernel_size=9, scale=scale)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.tail_conv(self.body_conv(self.head_conv(x)))
        return out


def start_as_interpolation(net: Fsrcnn) -> None:
    """Initial weights with which the network interpolates bilinearly, whatever its width.

    FSRCNN has no skip from input to output, so with small random weights it first spends tens of thousands of
    steps on learning to copy. Here channels 0 to 2 carry the image through every layer (PReLU passes what is
    positive), the tail spreads them with a triangle kernel, and the other channels start random.
    """
    scale_initial_weights(net, 1.0)
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                centre = layer.kernel_size[0] // 2
                layer.weight[:3] = 0
                layer.weight[range(3), range(3), centre, centre] = 1
        tail = net.tail_conv
        stride, padding = tail.stride[0], int(tail.padding[0])
        taps = torch.arange(tail.kernel_size[0], dtype=torch.float32)
        # Distance, in LR px, of the output that tap k writes from the input it reads.
        distance = (taps - padding + 0.5) / stride - 0.5
        triangle = (1 - distance.abs()).clamp(min=0)
        tail.weight.mul_(0.1)
        tail.weight[:3] = 0
        tail.weight[range(3), range(3)] = torch.outer(triangle, triangle)
