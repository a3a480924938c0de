"""The executor for a Ray cluster: tasks plan, read and stitch; actors with the ladder run the batches."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import ray

from arm_batch.budget.protocol import GenerationBudget, Quota
from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.allocation.deadline import CPU, ClusterProfile
from arm_batch.core.allocation.lp import Pool
from arm_batch.core.attempts import Node
from arm_batch.core.progress import Progress
from arm_batch.core.stop import Stop
from arm_batch.execution.messages import JobContext, Partly, ShardSummary
from arm_batch.execution.plan_ahead import PlanAhead
from arm_batch.execution.profiling import Sampled
from arm_batch.execution.ray.actor_pool import ActorPool, DeviceKind
from arm_batch.execution.ray.actors import lone_image_task
from arm_batch.execution.ray.cluster import cluster_nodes
from arm_batch.execution.ray.faults import TRIES, WorkerLostError, get, persist
from arm_batch.execution.ray.metrics import RunMetrics
from arm_batch.execution.ray.named_actor import NamedActor
from arm_batch.execution.ray.planning import POLL_S, RayPlanner
from arm_batch.execution.ray.profiling import profile_host, profile_pools, queue_ranks
from arm_batch.execution.ray.quota_actor import quota_actor
from arm_batch.execution.ray.shard_scheduler import Lost, ShardFlow, ShardRun
from arm_batch.execution.ray.tasks import commit_task
from arm_batch.execution.streaming import may_hold_large
from arm_batch.models.ladder_files import LadderFiles
from arm_batch.runstate.commit import Commit
from arm_batch.runstate.plan_files import read_plan
from arm_batch.runstate.shard_plan import Shard, ShardId
from arm_batch.storage.base import ObjectStore

SHARDS_PER_ACTOR = 2
"""Shards in flight: while one is upscaled another is read or encoded."""

GRACE_S = 2.0
"""What shards in flight get to finish in after a stop: `ray job stop` kills the driver after 3 s."""

_log = logging.getLogger(__name__)


class RayExecutor:
    """Runs the stages on the Ray cluster that this process is connected to.

    Pixels move from worker to worker by reference; the driver sees summaries and commit records. At most
    `SHARDS_PER_ACTOR` shards per actor are in flight, so memory is bounded by the cluster's size.

    A shard whose worker, actor or node is lost is started again. After `TRIES` losses its images are run one by
    one, so that one that takes its worker down each time is found, and costs only itself.

    Args:
        context: of the run.
        files: the ladder.
        kinds: of devices to use, CPUs first.
        ahead: what was planned while the cluster started; None for nothing.
    """

    def __init__(
        self,
        context: JobContext,
        files: LadderFiles,
        kinds: Sequence[DeviceKind],
        ahead: PlanAhead | None,
    ) -> None:
        self._local_context = context
        self._context = ray.put(context)
        self._files = ray.put(files)
        self._budget: NamedActor[GenerationBudget] | None = None
        self._pool = ActorPool(kinds, context.engine)
        self._planner = RayPlanner(context, self._context, ahead, lambda: self._pool.cores)
        self._pools: tuple[Pool, ...] = ()
        self._metrics = RunMetrics(context.ladder, context.output.url)

    def host(self, budget: GenerationBudget, name: str) -> GenerationBudget:
        """Start the budget actor; a second driver of the same run finds the same one.

        And then the others, so that they are there when planning is done; in a dry run not before one is needed.
        """
        if self._budget is not None:
            self._budget.close()
        self._budget = NamedActor[GenerationBudget](f"budget-{name}", budget)
        # Not before it: they load torch, on every core, and planning ends with the budget.
        self._pool.grow()
        return self._budget.calls

    def quota(self, store: ObjectStore) -> Quota:
        """The quota in its actor, which all jobs of the cluster find."""
        return quota_actor(store).calls

    def summarize(self, shards: Sequence[ShardId]) -> Iterator[ShardSummary]:
        """See `RayPlanner.summarize`."""
        return self._planner.summarize(shards)

    def plan(self, shards: Iterable[Shard], stop: Stop) -> Iterator[ShardSummary]:
        """See `RayPlanner.plan`."""
        for summary in self._planner.plan(shards, stop):
            self._metrics.planned(summary)
            yield summary

    def held(self) -> dict[str, int]:
        """All cores and GPUs of the cluster as it is now."""
        return {CPU: self._pool.cores, "gpu": self._pool.gpus}

    def workers(self) -> dict[str, int]:
        """The actors that have started."""
        return self._pool.in_service()

    def nodes(self) -> tuple[Node, ...]:
        """The nodes of the cluster that are alive."""
        return cluster_nodes()

    def watch(self, progress: Progress, /) -> None:
        """See `RunMetrics.watch`."""
        self._metrics.watch(progress)

    def at_once(self) -> int:
        """Some for each actor that the cluster has room for."""
        return SHARDS_PER_ACTOR * max(1, self._pool.wanted)

    def profile(self, shards: Sequence[Sampled]) -> ClusterProfile:
        """Measure the actors, all at once, and then the work beside them."""
        pools = self._profile_pools()
        return ClusterProfile(pools, self._pool.cores, profile_host(self._context, shards, self._pool.cores))

    def run(self, shards: Sequence[ShardId], budget: GenerationBudget, stop: Stop) -> Iterator[Commit | Partly]:
        """Run planned shards: cut, upscale on whichever actor is free, stitch and commit."""
        waiting = deque(shards)
        # With one kind of device there is nothing to compare.
        pools = self._profile_pools() if shards and self._pool.is_mixed else ()
        ranks = queue_ranks(pools, len(self._local_context.ladder.subnets))
        flow = ShardFlow(self._context, [self._files], self._pool, ranks)
        losses: Counter[ShardId] = Counter()
        while not stop():
            self._pool.grow()
            while waiting and len(flow) < SHARDS_PER_ACTOR * max(1, self._pool.ready()):
                share = budget.begin(waiting[0].index)
                if share is None:
                    break
                self._start(flow, waiting.popleft(), share)
            if not len(flow):
                return
            for result in self._step(flow):
                if isinstance(result, Commit):
                    yield self._settled(result, budget)
                    continue
                shard = result.run.shard
                losses[shard] += 1
                self._metrics.lost()
                if losses[shard] < TRIES:
                    waiting.appendleft(shard)
                else:
                    yield self._settled(self._run_one_by_one(result.run), budget)
        yield from self._wind_down(flow, budget)

    def close(self) -> None:
        """End the actors; the connection to Ray stays its opener's."""
        self._pool.close()
        if self._budget is not None:
            self._budget.close()

    def _profile_pools(self) -> tuple[Pool, ...]:
        if not self._pools:
            self._pools = profile_pools(self._pool, [self._files], self._local_context.ladder)
        return self._pools

    def _start(self, flow: ShardFlow, shard: ShardId, share: ShardAllocation) -> None:
        """Start an attempt at a shard; the few that may hold a large image are looked at first."""
        context = self._local_context
        if may_hold_large(context, share):
            plan = read_plan(context.output, shard)
            if context.has_large(plan):
                flow.start_alone(shard, share, plan.originals())
                return
        flow.start(shard, share)

    def _step(self, flow: ShardFlow) -> Iterator[Commit | Lost]:
        """Hand out batches, wait a little, and tell what came of it."""
        flow.dispatch()
        starting = self._pool.starting()
        refs = [*starting, *flow.pending()]
        for ref in ray.wait(refs, timeout=POLL_S)[0]:
            if ref in starting:
                self._pool.started(starting[ref])
            elif (result := flow.resolve(ref)) is not None:
                yield result

    def _wind_down(self, flow: ShardFlow, budget: GenerationBudget) -> Iterator[Commit]:
        """After a stop: what can still be committed in time is, the rest is given up."""
        deadline = time.monotonic() + GRACE_S
        while len(flow) and time.monotonic() < deadline:
            for result in self._step(flow):
                if isinstance(result, Commit):
                    yield self._settled(result, budget)
                else:
                    budget.release(result.run.shard.index)
        for run in flow.abandon():
            budget.release(run.shard.index)

    def _run_one_by_one(self, run: ShardRun) -> Commit:
        """Rows that were finished can be lost with their node before they are committed: then once more."""
        while True:
            try:
                return self._try_one_by_one(run)
            except WorkerLostError as error:
                _log.warning("shard %s, image by image, once more: %s", run.shard, error)

    def _try_one_by_one(self, run: ShardRun) -> Commit:
        plan = read_plan(self._local_context.output, run.shard)
        records: list[Any] = []
        poisonous: dict[int, str] = {}
        for position, image in enumerate(plan.images):
            if image.entry.copy_of is not None:
                continue
            submit = partial(lone_image_task.remote, self._context, self._files, run.shard, run.share, position)
            refs, error = persist(submit)
            if error is None:
                records.append(refs[1])
            else:
                poisonous[position] = error
        revision = run.share.revision
        return cast(Commit, get(commit_task.remote(self._context, run.shard, revision, poisonous, *records)))

    def _settled(self, commit: Commit, budget: GenerationBudget) -> Commit:
        budget.settle(commit.shard.index, commit.flops)
        self._metrics.committed(commit)
        return commit
