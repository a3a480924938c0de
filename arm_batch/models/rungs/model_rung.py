"""A model of the user's as a rung."""

from __future__ import annotations

from dataclasses import dataclass

from arm_batch.models.rungs.protocol import Model, Ready
from arm_batch.models.runtimes.protocol import Runtime

GPU_PIXELS = 2**18
"""LR px of one pass on a GPU: large models hold some hundred numbers for each."""


@dataclass(frozen=True)
class ModelRung:
    """See `Rung`.

    Attributes:
        model: of the user's.
        halo: measured, LR px.
    """

    model: Model
    halo: int

    def at_once(self, device: str, window: int) -> int | None:
        """On CPUs one by one: a large window fills a core, and its bytes depend on nothing that runs beside it."""
        return 1 if device == "cpu" else max(1, GPU_PIXELS // window**2)

    def ready(self, runtime: Runtime, window: int) -> Ready:
        """With the model's own library, on the runtime's device."""
        device = runtime.device.type
        return Ready(self.model.open(device, runtime.threads), self.at_once(device, window) or 1)
