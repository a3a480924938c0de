"""The actors that hold the ladder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray

from arm_batch.core.tiles import Pixels
from arm_batch.nets.infer import Upscaler
from arm_batch.nets.ladder_files import LadderFiles


@ray.remote(max_restarts=3, max_task_retries=3)
class UpscaleActor:
    """Holds the ladder on one device."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._upscaler: Upscaler | None = None

    def run(self, files: list[Any], subnet: int, windows: Sequence[Pixels]) -> list[Pixels]:
        """Upscale one batch.

        The ladder comes with every call, as a reference that only the first call of an actor, or of its restart,
        follows: constructor arguments in the object store would not outlive a restart.
        """
        if self._upscaler is None:
            ladder: LadderFiles = ray.get(files[0])
            self._upscaler = Upscaler(ladder.nets, ladder.ladder.grid, ladder.ladder.scale, self._device)
        return self._upscaler.run(subnet, windows)
