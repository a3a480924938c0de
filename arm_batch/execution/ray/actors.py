"""Where nets run on Ray: actors that hold the ladder, and a task for single images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray

from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.tiling.grid import Upscaled, Windows
from arm_batch.execution.messages import JobContext
from arm_batch.execution.stages import upscale_image
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import LadderFiles
from arm_batch.models.throughput import hardware, measure_tiles
from arm_batch.runstate.rows import ImageRecord
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.spec import Engine


@ray.remote(max_restarts=0)
class UpscaleActor:
    """Holds the ladder on one device. One that dies is replaced by the driver, where there is room for it."""

    def __init__(self, device: str, threads: int, engine: Engine) -> None:
        self._device = device
        self._threads = threads
        self._engine = engine
        self._upscaler: Upscaler | None = None

    def ready(self) -> None:
        """Answers once the actor has a place in the cluster."""

    def run(self, files: list[Any], subnet: int, windows: Sequence[Windows]) -> tuple[None, list[Upscaled]]:
        """Upscale one batch.

        The ladder comes with every call, as a reference that only the first call of an actor follows: an actor
        can be started before the ladder has reached its node.

        Returns:
            Nothing, by which the driver learns how the call went without fetching pixels; and the pixels.
        """
        return None, self._loaded(files).run(subnet, windows)

    def run_image(
        self, files: list[Any], context: JobContext, shard: ShardId, share: ShardAllocation, position: int
    ) -> tuple[None, ImageRecord]:
        """Upscale one image of a shard by itself, from reading to encoding; returns like `run`."""
        return None, upscale_image(context, shard, share, position, self._loaded(files).run)

    def hardware(self) -> str:
        """What makes two actors alike."""
        return f"{hardware(self._device, self._engine)}, {self._threads} threads"

    def measure(self, files: list[Any]) -> list[float]:
        """Seconds per tile of each subnet, see `measure_tiles`."""
        upscaler = self._loaded(files)
        ladder: LadderFiles = ray.get(files[0])
        return measure_tiles(upscaler.run, ladder.nets, ladder.ladder.grid, self._device)

    def _loaded(self, files: list[Any]) -> Upscaler:
        if self._upscaler is None:
            ladder: LadderFiles = ray.get(files[0])
            grid, scale = ladder.ladder.grid, ladder.ladder.scale
            self._upscaler = Upscaler(ladder.nets, grid, scale, self._device, self._threads, engine=self._engine)
        return self._upscaler


@ray.remote(num_cpus=1, max_retries=0, num_returns=2)
def lone_image_task(
    context: JobContext, files: LadderFiles, shard: ShardId, share: ShardAllocation, position: int
) -> tuple[None, ImageRecord]:
    """Upscale one image of a shard by itself, in a process that holds nothing else; returns like `run`."""
    grid, scale = files.ladder.grid, files.ladder.scale
    upscaler = Upscaler(files.nets, grid, scale, "cpu", engine=context.engine)
    return None, upscale_image(context, shard, share, position, upscaler.run)
