"""The reference executor: one shard after the other, in this process."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence

from arm_batch.nets.infer import Upscaler
from arm_batch.nets.ladder_files import LadderFiles
from arm_batch.runtime.budget import ArchiveBudget
from arm_batch.runtime.executor import BudgetPort, Stop
from arm_batch.runtime.planning import plan_shard, planned_summary
from arm_batch.runtime.shared_pool import PoolPort, SharedPool
from arm_batch.runtime.stages import commit_shard, prepare_shard, run_batches, stitch_shard
from arm_batch.runtime.work import JobContext, ShardSummary
from arm_batch.store.commit import Commit
from arm_batch.store.objects import ObjectStore
from arm_batch.store.plan import Shard, ShardId


class InlineExecutor:
    """Runs everything on one thread of the calling process."""

    def __init__(self, context: JobContext, files: LadderFiles) -> None:
        self._context = context
        self._upscaler = Upscaler(files.nets, files.ladder.grid, files.ladder.scale, "cpu")

    def host(self, budget: ArchiveBudget, name: str) -> BudgetPort:
        """The budget itself: it lives here; `name` is not needed."""
        del name
        return budget

    def pool(self, store: ObjectStore) -> PoolPort:
        """The pool, in this process; others share it through its journal."""
        return SharedPool(store)

    def summarize(self, shards: Sequence[ShardId]) -> Iterator[ShardSummary]:
        """Read kept plans in order."""
        for shard in shards:
            yield planned_summary(self._context, shard)

    def plan(self, shards: Iterable[Shard], stop: Stop) -> Iterator[ShardSummary]:
        """Plan the shards in order."""
        for shard in shards:
            if stop():
                return
            yield plan_shard(self._context, shard)

    def run(self, shards: Sequence[ShardId], budget: BudgetPort, stop: Stop) -> Iterator[Commit]:
        """Run the shards in order."""
        for shard in shards:
            if stop():
                return
            share = budget.begin(shard.index)
            if share is None:
                # Only another driver that has just died can leave an earlier wave undone behind our back.
                return
            prepared = prepare_shard(self._context, shard, share)
            outputs = run_batches(prepared, self._upscaler.run)
            records = stitch_shard(self._context, prepared.head, share, outputs)
            commit = commit_shard(self._context, prepared.head.plan, records, attempt=uuid.uuid4().hex)
            budget.settle(shard.index, commit.flops)
            yield commit
