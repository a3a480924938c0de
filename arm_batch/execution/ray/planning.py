"""Planning on a Ray cluster: shards in tasks, a few per core at a time."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import cast

import ray

from arm_batch.core.stop import Stop, never
from arm_batch.execution.messages import JobContext, ShardSummary
from arm_batch.execution.plan_ahead import PlanAhead
from arm_batch.execution.planning import failed_plan, plan_with, planned_summary
from arm_batch.execution.ray.faults import TRIES, Ref, WorkerLostError, get, persist
from arm_batch.execution.ray.tasks import plan_image_task, plan_task, summarize_task
from arm_batch.inputs.sources import Entry
from arm_batch.runstate.shard_plan import ImagePlan, Shard, ShardId

PLANS_PER_CORE = 4
"""Planning tasks in flight; they hold no pixels once they are done."""

SUMMARIES_AT_ONCE = 64
"""Kept plans read by one task: each is a small file."""

POLL_S = 0.5
"""How often to ask whether to stop."""


class RayPlanner:
    """Plans shards; those that were planned while Ray started are done already.

    Args:
        local_context: of the run.
        context: reference to it.
        ahead: what was planned before; None for nothing.
        cores: how many the cluster has, as of now.
    """

    def __init__(
        self, local_context: JobContext, context: Ref, ahead: PlanAhead | None, cores: Callable[[], int]
    ) -> None:
        self._local_context = local_context
        self._context = context
        self._ahead = ahead
        self._cores = cores

    def summarize(self, shards: Sequence[ShardId]) -> Iterator[ShardSummary]:
        """Read kept plans, many at a time."""
        known = self._known(never)
        yield from (known[shard] for shard in shards if shard in known)
        shards = [shard for shard in shards if shard not in known]
        starts = range(0, len(shards), SUMMARIES_AT_ONCE)
        tasks = [summarize_task.remote(self._context, shards[i : i + SUMMARIES_AT_ONCE]) for i in starts]
        for start, task in zip(starts, tasks, strict=True):
            try:
                yield from cast(list[ShardSummary], get(task))
            except WorkerLostError:
                # A few small files, which the driver can read as well.
                for shard in shards[start : start + SUMMARIES_AT_ONCE]:
                    yield planned_summary(self._local_context, shard)

    def plan(self, shards: Iterable[Shard], stop: Stop) -> Iterator[ShardSummary]:
        """Plan the shards, a few per core at a time."""
        known = self._known(stop)
        if known:
            shards = list(shards)
            yield from (known[shard.id] for shard in shards if shard.id in known)
        yield from self._plan_on_cluster((shard for shard in shards if shard.id not in known), stop)

    def _plan_on_cluster(self, unplanned: Iterator[Shard], stop: Stop) -> Iterator[ShardSummary]:
        again: deque[Shard] = deque()
        pending: dict[Ref, Shard] = {}
        losses: Counter[ShardId] = Counter()
        while not stop():
            room = max(0, PLANS_PER_CORE * self._cores() - len(pending))
            for shard in itertools.islice(itertools.chain(_drained(again), unplanned), room):
                pending[plan_task.remote(self._context, shard)] = shard
            if not pending:
                return
            for ref in ray.wait([*pending], timeout=POLL_S)[0]:
                shard = pending.pop(ref)
                try:
                    yield cast(ShardSummary, get(ref))
                except WorkerLostError:
                    losses[shard.id] += 1
                    if losses[shard.id] < TRIES:
                        again.append(shard)
                    else:
                        yield self._plan_one_by_one(shard)

    def _known(self, stop: Stop) -> Mapping[ShardId, ShardSummary]:
        return {} if self._ahead is None else self._ahead.summaries(stop)

    def _plan_one_by_one(self, shard: Shard) -> ShardSummary:
        def plan_one(entry: Entry, output: str) -> ImagePlan:
            ref, error = persist(partial(plan_image_task.remote, self._context, entry, output))
            if error is not None:
                return failed_plan(self._local_context, entry, output, entry.size, error)
            return cast(ImagePlan, get(ref))

        return plan_with(self._local_context, shard, plan_one)


def _drained(queue: deque[Shard]) -> Iterator[Shard]:
    while queue:
        yield queue.popleft()
