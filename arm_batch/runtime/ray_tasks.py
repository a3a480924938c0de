"""The Ray tasks and the budget actor: thin wrappers around `stages` and the budget.

Nothing here needs torch, so the processes that only read and write images start without it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import ray

from arm_batch.core.allocate import Counts
from arm_batch.core.tiles import Pixels
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
