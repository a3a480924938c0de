"""A subnet of one of our supernets as a rung."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from arm_batch.models.backbones.flops import Flops
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.rungs.protocol import Ready
from arm_batch.models.runtimes.protocol import Runtime


class SubnetRung(NamedTuple):
    """See `Rung`.

    Attributes:
        supernet: whose weights it has.
        width: of the subnet.
        halo: LR px.
    """

    supernet: Supernet
    width: int
    halo: int

    @property
    def name(self) -> str:
        """Such as ``fsrcnn-36``."""
        return f"{self.supernet.backbone.name}-{self.width}"

    def module(self) -> nn.Module:
        """The network, see `Supernet.subnet`."""
        return self.supernet.subnet(self.width)

    def flops(self, window: int) -> Flops:
        """Of one window of this side."""
        return self.supernet.flops(self.width, window, window)

    def at_once(self, device: str, window: int) -> int | None:
        """The runtime's to say."""
        del device, window
        return None

    def ready(self, runtime: Runtime, window: int) -> Ready:
        """On the runtime itself."""
        return Ready(runtime.materialise(self, window), runtime.batch)
