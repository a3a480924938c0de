"""The reference executor: one shard after the other, in this process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from arm_batch.nets.infer import Upscaler
from arm_batch.nets.ladder_files import LadderFiles
from arm_batch.runtime.budget import ArchiveBudget
from arm_batch.runtime.executor import BudgetPort
from arm_batch.runtime.stages import (
    assign_images,
    list_batches,
    plan_shard,
    prepare_shard,
    reduce_shard,
    summarize,
)
from arm_batch.runtime.work import JobContext, Shard, ShardPlan, ShardSummary
from arm_batch.store.sinks import Commit


class InlineExecutor:
    """Runs everything on one thread of the calling process."""

    def __init__(self, context: JobContext, files: LadderFiles) -> None:
        self._context = context
        self._upscaler = Upscaler(files.nets, files.ladder.grid, files.ladder.scale, "cpu")
        self._plans: dict[int, ShardPlan] = {}

    def host(self, budget: ArchiveBudget, name: str) -> BudgetPort:
        """The budget itself: it lives here; `name` is not needed."""
        del name
        return budget

    def plan(self, shards: Sequence[Shard]) -> Iterator[ShardSummary]:
        """Plan the shards in order."""
        for shard in shards:
            plan = plan_shard(self._context, shard)
            self._plans[shard.index] = plan
            yield summarize(self._context, plan)

    def run(self, shards: Sequence[int], budget: BudgetPort) -> Iterator[Commit]:
        """Run the shards in order."""
        for index in shards:
            plan, share = self._plans[index], budget.begin(index)
            prepared = prepare_shard(self._context, plan, share)
            batches = list_batches(assign_images(self._context, plan, share), len(self._context.ladder.subnets))
            outputs = [
                self._upscaler.run(batch.subnet, windows)
                for batch, windows in zip(batches, prepared.windows, strict=True)
            ]
            commit = reduce_shard(self._context, plan, share, prepared.headers, outputs, attempt=uuid.uuid4().hex)
            budget.settle(index, commit.flops)
            yield commit
