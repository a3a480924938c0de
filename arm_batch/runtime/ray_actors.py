"""Where nets run on Ray: actors that hold the ladder, and a task for single images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray

from arm_batch.core.share_out import Share
from arm_batch.core.tiles import Pixels
from arm_batch.nets.infer import Upscaler
from arm_batch.nets.ladder_files import LadderFiles
from arm_batch.runtime.stages import upscale_image
from arm_batch.runtime.work import JobContext
from arm_batch.store.plan import ShardId
from arm_batch.store.records import ImageRecord


@ray.remote(max_restarts=0)
class UpscaleActor:
    """Holds the ladder on one device. One that dies is replaced by the driver, where there is room for it."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._upscaler: Upscaler | None = None

    def ready(self) -> None:
        """Answers once the actor has a place in the cluster."""

    def run(self, files: list[Any], subnet: int, windows: Sequence[Pixels]) -> tuple[None, list[Pixels]]:
        """Upscale one batch.

        The ladder comes with every call, as a reference that only the first call of an actor follows: an actor
        can be started before the ladder has reached its node.

        Returns:
            Nothing, by which the driver learns how the call went without fetching pixels; and the pixels.
        """
        if self._upscaler is None:
            ladder: LadderFiles = ray.get(files[0])
            self._upscaler = Upscaler(ladder.nets, ladder.ladder.grid, ladder.ladder.scale, self._device)
        return None, self._upscaler.run(subnet, windows)


@ray.remote(num_cpus=1, max_retries=0, num_returns=2)
def lone_image_task(
    context: JobContext, files: LadderFiles, shard: ShardId, share: Share, position: int
) -> tuple[None, ImageRecord]:
    """Upscale one image of a shard by itself, in a process that holds nothing else; returns like `run`."""
    upscaler = Upscaler(files.nets, files.ladder.grid, files.ladder.scale, "cpu")
    return None, upscale_image(context, shard, share, position, upscaler.run)
