"""Layers that the backbones share and torch does not have in this form."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MeanShift(nn.Conv2d):
    """A fixed 1x1 convolution that adds ``sign * rgb_mean`` to each channel.

    It is a convolution, not an addition, because the published checkpoints store it as one.
    """

    def __init__(self, rgb_mean: tuple[float, float, float], sign: int) -> None:
        super().__init__(3, 3, kernel_size=1)
        with torch.no_grad():
            self.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
            assert self.bias is not None
            self.bias.copy_(sign * torch.tensor(rgb_mean))
        self.requires_grad_(False)


class SubpixelConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution evaluated as an ordinary one followed by a pixel shuffle.

    With output size ``stride * input size``, output phase ``r`` of input position ``q`` only meets the
    kernel taps ``stride * d + r + padding``; gathering the taps of all phases gives an ordinary
    convolution with ``stride**2`` times the output channels. Parameters keep the layout
    ``(in, out, k, k)`` of ``nn.ConvTranspose2d``, so checkpoints load unchanged. On CPUs this runs two to
    three times as fast as ``conv_transpose2d`` although it also multiplies by the structural zeros
    that fill the rarer phases.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, scale: int) -> None:
        # The padding that centres the kernel so that the output is exactly `scale` times the input.
        output_padding = (kernel_size - scale) % 2
        padding = (kernel_size - scale + output_padding) // 2
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=scale,
            padding=padding,
            output_padding=output_padding,
        )
        self.reach_before = (scale - 1 + padding) // scale
        self.reach_after = (kernel_size - 1 - padding) // scale

    def subpixel_kernel(self) -> Tensor:
        """The equivalent kernel, ``(out * stride**2, in, taps, taps)``."""
        stride, padding, size = self.stride[0], int(self.padding[0]), self.kernel_size[0]
        taps = self.reach_before + self.reach_after + 1
        left = stride * self.reach_before - padding
        right = stride * taps - left - size
        padded = F.pad(self.weight, (left, right, left, right))
        phases = padded.reshape(*padded.shape[:2], taps, stride, taps, stride).flip(2, 4)
        return phases.permute(1, 3, 5, 0, 2, 4).reshape(-1, padded.shape[0], taps, taps)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """``(n, in, h, w)`` to ``(n, out, stride * h, stride * w)``; `output_size` must be left out."""
        assert output_size is None
        assert self.bias is not None
        before, after = self.reach_after, self.reach_before
        if before != after:
            input = F.pad(input, (before, after, before, after))
        stride = self.stride[0]
        phases = F.conv2d(
            input,
            self.subpixel_kernel(),
            self.bias.repeat_interleave(stride * stride),
            padding=before if before == after else 0,
        )
        return F.pixel_shuffle(phases, stride)


def scale_initial_weights(module: nn.Module, gain: float) -> None:
    """He-normal weights times `gain` and zero biases for every convolution below `module`.

    Small initial residuals are what the published training starts from (gain 0.1).
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and not isinstance(layer, MeanShift):
            nn.init.kaiming_normal_(layer.weight, a=0, mode="fan_in")
            with torch.no_grad():
                layer.weight.mul_(gain)
                if layer.bias is not None:
                    layer.bias.zero_()
