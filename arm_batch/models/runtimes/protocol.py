"""What a runtime is: something that runs the subnets of a ladder, each as it was exported or moved to a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from arm_batch.models.rungs.subnet import SubnetRung

Forward = Callable[[Tensor, Tensor | None], Tensor]
"""RGB in [0, 1], float32 ``(n, h, w, 3)`` and contiguous, to ``(n, scale * h, scale * w, 3)``, not clamped.

With it goes what of each window lies in the image, ``(n, h, w, 1)``, see `borders`; None where all of it does. All
are on the runtime's device; an output is valid until the next call.
"""


class Runtime(Protocol):
    """Makes subnets ready to run on one device.

    Tensors are what goes in and out, because on a GPU pixels are to stay there until they are levels; on a CPU a
    tensor is an array seen otherwise.
    """

    @property
    def batch(self) -> int:
        """Windows of one pass; less are taken too."""

    @property
    def device(self) -> torch.device:
        """That it runs on; models that bring a runtime of their own go by it, too."""

    @property
    def threads(self) -> int:
        """Of each pass on a CPU."""

    def materialise(self, net: SubnetRung, window: int) -> Forward:
        """A subnet, ready and warm.

        Args:
            net: the subnet.
            window: side of what it will see, in px.
        """
