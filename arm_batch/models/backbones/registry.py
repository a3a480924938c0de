"""The backbones that can be built, trained and loaded: a closed list, so that a name in a file is enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from arm_batch.errors import UsageError
from arm_batch.models.backbones import carn, fsrcnn
from arm_batch.models.backbones.deep import BLOCKS, Deep, start_with_small_residuals
from arm_batch.models.backbones.layers import scale_initial_weights
from arm_batch.models.backbones.plain import Plain
from arm_batch.models.backbones.srresnet import SrResNet

SCALES = (2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A family of networks that differ in width alone.

    Attributes:
        name: the name used in files and on the command line.
        build: makes the network of a given width and scale, its weights yet to be loaded or started.
        start: gives such a network, of the full width, the weights that training begins with.
        widths: the subnets (published ones, where there are any), narrowest first; the last one is the
            supernet's own width.
        body: beginnings of the names of the parameters that do the same at every scale: all before the upsampler.
        width_multiple: every width must be a multiple of this (grouped convolutions).
        only_these: whether no widths beside `widths` exist.
    """

    name: str
    build: Callable[[int, int], nn.Module]
    start: Callable[[Any], None]
    widths: tuple[int, ...]
    body: tuple[str, ...]
    width_multiple: int = 1
    only_these: bool = False

    @property
    def full_width(self) -> int:
        """Channels of the supernet."""
        return self.widths[-1]

    def check(self, width: int, scale: int) -> None:
        """Raise `UsageError` unless a subnet of `width` at `scale` exists."""
        if scale not in SCALES:
            raise UsageError(f"{self.name}: scale {scale} is not one of {SCALES}")
        if self.only_these and width not in self.widths:
            raise UsageError(f"{self.name}: width {width} is not one of {self.widths}")
        if not 0 < width <= self.full_width or width % self.width_multiple:
            raise UsageError(
                f"{self.name}: width {width} is not a multiple of {self.width_multiple} "
                f"between 1 and {self.full_width}"
            )


_SMALL = partial(scale_initial_weights, gain=0.1)
"""Near nothing beside the skips and the base image: what random features draw would have to be unlearnt first."""

BACKBONES = {
    backbone.name: backbone
    for backbone in (
        Backbone(
            name="fsrcnn",
            build=fsrcnn.Fsrcnn,
            start=fsrcnn.start_as_interpolation,
            widths=(16, 36, 56),
            body=("head_conv.", "body_conv."),
        ),
        Backbone(
            name="carn",
            build=carn.CarnM,
            start=carn.start_as_interpolation,
            widths=(36, 52, 64),
            body=("sub_mean.", "entry.", "b1.", "b2.", "b3.", "c1.", "c2.", "c3."),
            width_multiple=4,
        ),
        Backbone(
            name="srresnet",
            build=SrResNet,
            start=_SMALL,
            widths=(36, 52, 64),
            body=("conv_first.", "recon_trunk."),
        ),
        Backbone(name="plain", build=Plain, start=_SMALL, widths=(16, 32, 48), body=("head.", "body.")),
        Backbone(
            name="deep",
            build=Deep,
            start=start_with_small_residuals,
            widths=tuple(BLOCKS),
            body=("head.", "body."),
            only_these=True,
        ),
    )
}


def get_backbone(name: str) -> Backbone:
    """The backbone called `name`; `UsageError` lists the known ones otherwise."""
    if name not in BACKBONES:
        raise UsageError(f"unknown backbone {name!r}; known: {', '.join(BACKBONES)}")
    return BACKBONES[name]
