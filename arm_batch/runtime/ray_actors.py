"""The Ray tasks and actors: thin wrappers around `stages`, the `Upscaler` and the budget."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import ray

from arm_batch.core.allocate import Counts
from arm_batch.core.tiles import Pixels
from arm_batch.nets.infer import Upscaler
from arm_batch.nets.ladder_files import LadderFiles
from arm_batch.runtime.budget import ArchiveBudget, Verdict
from arm_batch.runtime.stages import plan_shard, prepare_shard, reduce_shard, summarize
from arm_batch.runtime.work import ImageHeader, JobContext, Shard, ShardPlan, ShardSummary
from arm_batch.store.sinks import Commit

SHARE_OF_A_CORE = 0.5
"""What a task and a CPU actor each reserve: on every core one of either can run, so that neither
starves the other; the net takes what decoding and encoding leave."""


@ray.remote(num_cpus=SHARE_OF_A_CORE, num_returns=2, max_retries=3)
def plan_task(context: JobContext, shard: Shard) -> tuple[ShardSummary, ShardPlan]:
    """Plan one shard; only the summary goes to the driver."""
    plan = plan_shard(context, shard)
    return summarize(context, plan), plan


@ray.remote(num_cpus=SHARE_OF_A_CORE, max_retries=3)
def prepare_task(context: JobContext, plan: ShardPlan, share: Counts) -> Any:
    """Headers, then the windows of each batch as a return value of its own, or headers alone."""
    prepared = prepare_shard(context, plan, share)
    return (prepared.headers, *prepared.windows) if prepared.windows else prepared.headers


@ray.remote(num_cpus=SHARE_OF_A_CORE, max_retries=3)
def reduce_task(
    context: JobContext,
    plan: ShardPlan,
    share: Counts,
    headers: Sequence[ImageHeader],
    *outputs: Sequence[Pixels],
) -> Commit:
    """Stitch, encode, write and commit one shard."""
    return reduce_shard(context, plan, share, headers, outputs, attempt=uuid.uuid4().hex)


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


@ray.remote(num_cpus=0)
class BudgetActor:
    """The budget, in one place of the cluster."""

    def __init__(self, budget: ArchiveBudget) -> None:
        self._budget = budget

    def register(self, shard: int, histogram: Counts) -> None:
        """See `ArchiveBudget.register`."""
        self._budget.register(shard, histogram)

    def allocate(self) -> Verdict:
        """See `ArchiveBudget.allocate`."""
        return self._budget.allocate()

    def begin(self, shard: int) -> Counts:
        """See `ArchiveBudget.begin`."""
        return self._budget.begin(shard)

    def settle(self, shard: int, flops: int) -> None:
        """See `ArchiveBudget.settle`."""
        self._budget.settle(shard, flops)

    def spent(self) -> int:
        """See `ArchiveBudget.spent`."""
        return self._budget.spent()
