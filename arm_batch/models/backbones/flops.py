"""FLOPs of a network, computed from its layers, in two conventions.

`executed` counts 2 FLOPs for each multiply-add that the layer's definition asks for. `paper` is the convention
of the published ARM and ClassSR tables: there a transposed convolution is charged at every *output*
position (``scale**2`` times too much), each PReLU counts its parameters once, and the fixed convolutions that
shift CARN's mean colour are free.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from arm_batch.models.backbones.layers import MeanShift


@dataclass(frozen=True)
class Flops:
    """FLOPs of one forward pass over one input."""

    executed: int
    paper: int


def count_flops(network: nn.Module, height: int, width: int) -> Flops:
    """Count one pass of `network` over one RGB input of `height` x `width` px.

    The network is run once, on zeros, so that a layer that is applied several times (CARN's shared blocks) counts
    each time.
    """
    executed = paper = 0

    def record(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal executed, paper
        cost = _layer_flops(layer, inputs[0], output)
        executed += cost.executed
        paper += cost.paper

    hooks = [layer.register_forward_hook(record) for layer in network.modules()]
    try:
        device = next(network.parameters()).device
        with torch.no_grad():
            network(torch.zeros(1, 3, height, width, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return Flops(executed, paper)


def _layer_flops(layer: nn.Module, x: Tensor, y: Tensor) -> Flops:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        taps = layer.kernel_size[0] * layer.kernel_size[1]
        per_position = 2 * taps * layer.in_channels * layer.out_channels // layer.groups
        output_positions = y.shape[-2] * y.shape[-1]
        if isinstance(layer, nn.ConvTranspose2d):
            input_positions = x.shape[-2] * x.shape[-1]
            return Flops(per_position * input_positions, per_position * output_positions)
        executed = per_position * output_positions
        return Flops(executed, 0 if isinstance(layer, MeanShift) else executed)
    if isinstance(layer, nn.PReLU):
        return Flops(0, layer.num_parameters)
    return Flops(0, 0)
