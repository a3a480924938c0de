"""The reference executor: one shard after the other, in this process."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from arm_batch.budget.protocol import GenerationBudget, Quota
from arm_batch.budget.quota import SharedQuota
from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.allocation.deadline import CPU, ClusterProfile
from arm_batch.core.allocation.lp import Pool
from arm_batch.core.stop import Stop
from arm_batch.execution.messages import JobContext, ShardSummary
from arm_batch.execution.planning import plan_shards, planned_summary
from arm_batch.execution.profiling import Sampled, measure_host_overhead, per_megapixel, sample_shards, speed_key
from arm_batch.execution.speed_cache import cache_file, recall, remember
from arm_batch.execution.stages import commit_shard, prepare_shard, run_batches, stitch_shard, upscale_image
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import LadderFiles
from arm_batch.models.throughput import hardware, measure_tiles
from arm_batch.runstate.commit import Commit
from arm_batch.runstate.plan_files import read_plan
from arm_batch.runstate.rows import ImageRecord
from arm_batch.runstate.shard_plan import Shard, ShardId, ShardPlan
from arm_batch.storage.base import ObjectStore

SAMPLES = 4
"""Shards that the work beside the nets is measured on."""


class InlineExecutor:
    """Runs everything on one thread of the calling process, but for images that are read ahead."""

    def __init__(self, context: JobContext, files: LadderFiles) -> None:
        self._context = context
        self._n_subnets = len(files.nets)
        self._upscaler = Upscaler(
            files.nets, files.ladder.grid, files.ladder.scale, "cpu", runtime=context.runtime
        )

    def host(self, budget: GenerationBudget, name: str) -> GenerationBudget:
        """The budget itself: it lives here; `name` is not needed."""
        del name
        return budget

    def quota(self, store: ObjectStore) -> Quota:
        """The quota, in this process; others share it through its journal."""
        return SharedQuota(store)

    def summarize(self, shards: Sequence[ShardId]) -> Iterator[ShardSummary]:
        """Read kept plans in order."""
        for shard in shards:
            yield planned_summary(self._context, shard)

    def plan(self, shards: Iterable[Shard], stop: Stop) -> Iterator[ShardSummary]:
        """Plan the shards in order."""
        return plan_shards(self._context, shards, stop)

    def held(self) -> dict[str, int]:
        """One core."""
        return {CPU: 1}

    def at_once(self) -> int:
        """One."""
        return 1

    def profile(self, shards: Sequence[Sampled]) -> ClusterProfile:
        """Measure this process, unless it was measured lately."""
        ladder = self._context.ladder
        key, path = speed_key(CPU, hardware("cpu", self._context.runtime), 1, ladder), cache_file()
        seconds = recall(path, key, self._n_subnets)
        if seconds is None:
            seconds = measure_tiles(self._upscaler.run, self._n_subnets, ladder.grid, "cpu")
            remember(path, {key: seconds})
        samples = [measure_host_overhead(self._context, shard) for shard in sample_shards(shards, SAMPLES)]
        return ClusterProfile((Pool(kind=CPU, devices=1, seconds=np.array(seconds)),), 1, per_megapixel(samples))

    def run(self, shards: Sequence[ShardId], budget: GenerationBudget, stop: Stop) -> Iterator[Commit]:
        """Run the shards in order."""
        for shard in shards:
            if stop():
                return
            share = budget.begin(shard.index)
            if share is None:
                # In order no wave has to wait, unless records that were there have been taken away.
                return
            plan = read_plan(self._context.output, shard)
            records = self._run_shard(plan, share)
            commit = commit_shard(self._context, plan, records, uuid.uuid4().hex, share.revision)
            budget.settle(shard.index, commit.flops)
            yield commit

    def _run_shard(self, plan: ShardPlan, share: ShardAllocation) -> list[ImageRecord]:
        context, run = self._context, self._upscaler.run
        if context.has_large(plan):
            return [upscale_image(context, plan.id, share, position, run) for position in plan.originals()]
        prepared = prepare_shard(context, plan.id, share)
        return stitch_shard(context, prepared.head, share, run_batches(prepared, run))
