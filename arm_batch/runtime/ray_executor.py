"""The executor for a Ray cluster: tasks plan, read and stitch; actors with the ladder run the batches."""

from __future__ import annotations

import itertools
from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import ray
from ray.exceptions import RayTaskError

from arm_batch.core.allocate import Counts
from arm_batch.errors import ArmBatchError
from arm_batch.nets.ladder_files import LadderFiles
from arm_batch.runtime.budget import ArchiveBudget, Verdict
from arm_batch.runtime.executor import BudgetPort
from arm_batch.runtime.ray_actors import UpscaleActor
from arm_batch.runtime.ray_tasks import (
    SHARE_OF_A_CORE,
    BudgetActor,
    plan_task,
    prepare_task,
    reduce_task,
)
from arm_batch.runtime.stages import batch_subnets
from arm_batch.runtime.work import JobContext, Shard, ShardSummary
from arm_batch.store.sinks import Commit

NAMESPACE = "arm_batch"

CALLS_PER_ACTOR = 2
"""One running and one waiting, so that an actor never idles between calls."""

SHARDS_PER_ACTOR = 2
"""Shards in flight: while one is upscaled another is read or encoded."""

PLANS_PER_CORE = 4
"""Planning tasks in flight; they hold no pixels once they are done."""

Ref = Any
"""A ``ray.ObjectRef``."""


@dataclass
class _Pool:
    """One actor and how many calls it has."""

    actor: Any
    takes_costly: bool
    calls: int = 0


@dataclass
class _ShardRun:
    """A shard in flight."""

    index: int
    share: Counts
    headers: Ref
    missing: int
    outputs: list[Ref | None]


@dataclass(order=True)
class _Queued:
    """A batch whose windows are cut or being cut; ordered by the cost of its subnet, then by age."""

    subnet: int
    number: int
    windows: Ref = field(compare=False)
    run: _ShardRun = field(compare=False)
    position: int = field(compare=False)


class RayBudget:
    """The budget actor, seen from the driver."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def register(self, shard: int, histogram: Counts) -> None:
        """See `ArchiveBudget.register`."""
        get(self._actor.register.remote(shard, histogram))

    def allocate(self) -> Verdict:
        """See `ArchiveBudget.allocate`."""
        return cast(Verdict, get(self._actor.allocate.remote()))

    def begin(self, shard: int) -> Counts:
        """See `ArchiveBudget.begin`."""
        return cast(Counts, get(self._actor.begin.remote(shard)))

    def settle(self, shard: int, flops: int) -> None:
        """See `ArchiveBudget.settle`."""
        get(self._actor.settle.remote(shard, flops))

    def spent(self) -> int:
        """See `ArchiveBudget.spent`."""
        return cast(int, get(self._actor.spent.remote()))


class RayExecutor:
    """Runs the stages on the Ray cluster that this process is connected to.

    Pixels move from worker to worker by reference; the driver sees summaries and commit records. At most
    `SHARDS_PER_ACTOR` shards per actor are in flight, so memory is bounded by the cluster's size.

    Args:
        context: of the run.
        files: the ladder.
        workers: CPU actors; ``None`` for one per core.
    """

    def __init__(self, context: JobContext, files: LadderFiles, workers: int | None) -> None:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        self._cores = max(1, int(resources.get("CPU", 1)))
        self._context = ray.put(context)
        self._plans: dict[int, Ref] = {}
        self._budget_actor: Any = None
        self._files = [ray.put(files)]
        n_cpu = workers or self._cores
        # More actors than cores share what the actors of one per core would take, so that tasks find room.
        cpu = UpscaleActor.options(num_cpus=SHARE_OF_A_CORE * min(1, self._cores / n_cpu))  # type: ignore[attr-defined]
        gpu = UpscaleActor.options(num_cpus=0, num_gpus=1)  # type: ignore[attr-defined]
        self._pools = [_Pool(cpu.remote("cpu"), False) for _ in range(n_cpu)]
        self._pools += [_Pool(gpu.remote("cuda"), True) for _ in range(int(resources.get("GPU", 0)))]

    def host(self, budget: ArchiveBudget, name: str) -> BudgetPort:
        """Start the budget actor; a second driver of the same run finds the same one."""
        self._budget_actor = BudgetActor.options(  # type: ignore[attr-defined]
            name=f"budget-{name}", namespace=NAMESPACE, get_if_exists=True
        ).remote(budget)
        return RayBudget(self._budget_actor)

    def plan(self, shards: Sequence[Shard]) -> Iterator[ShardSummary]:
        """Plan the shards, a few per core at a time."""
        waiting = iter(shards)
        pending: list[Ref] = []
        while True:
            for shard in itertools.islice(waiting, PLANS_PER_CORE * self._cores - len(pending)):
                summary, plan = cast(list[Ref], plan_task.remote(self._context, shard))
                self._plans[shard.index] = plan
                pending.append(summary)
            if not pending:
                return
            done, pending = ray.wait(pending)
            yield cast(ShardSummary, get(done[0]))

    def run(self, shards: Sequence[int], budget: BudgetPort) -> Iterator[Commit]:
        """Run planned shards: cut, upscale on whichever actor is free, stitch and commit."""
        waiting = iter(shards)
        queue: list[_Queued] = []
        calls: dict[Ref, tuple[_Queued, _Pool]] = {}
        reduces: dict[Ref, int] = {}
        in_flight = 0
        numbers = itertools.count()
        while True:
            for index in itertools.islice(waiting, SHARDS_PER_ACTOR * len(self._pools) - in_flight):
                in_flight += 1
                run = self._prepare(index, budget.begin(index), queue, numbers)
                if run.missing == 0:
                    reduces[self._reduce(run)] = index
            self._dispatch(queue, calls)
            if not in_flight:
                return
            for ref in ray.wait([*calls, *reduces])[0]:
                if ref in calls:
                    item, pool = calls.pop(ref)
                    pool.calls -= 1
                    item.run.outputs[item.position] = ref
                    item.run.missing -= 1
                    if item.run.missing == 0:
                        reduces[self._reduce(item.run)] = item.run.index
                else:
                    index = reduces.pop(ref)
                    commit = cast(Commit, get(ref))
                    budget.settle(index, commit.flops)
                    in_flight -= 1
                    yield commit

    def close(self) -> None:
        """End the actors; the connection to Ray stays its opener's."""
        for pool in self._pools:
            ray.kill(pool.actor)
        if self._budget_actor is not None:
            ray.kill(self._budget_actor)

    def _prepare(self, index: int, share: Counts, queue: list[_Queued], numbers: Iterator[int]) -> _ShardRun:
        """Start reading a shard and queue its batches; their number follows from the share."""
        subnets = batch_subnets(share)
        task = prepare_task.options(num_returns=1 + len(subnets))
        refs = cast(Any, task.remote(self._context, self._plans[index], share))
        headers, *windows = refs if subnets else [refs]
        run = _ShardRun(index, share, headers, len(subnets), [None] * len(subnets))
        for position, (subnet, ref) in enumerate(zip(subnets, windows, strict=True)):
            insort(queue, _Queued(subnet, next(numbers), ref, run, position))
        return run

    def _dispatch(self, queue: list[_Queued], calls: dict[Ref, tuple[_Queued, _Pool]]) -> None:
        """Hand queued batches to actors that have room: the costly ones to GPUs, the cheap ones to CPUs."""
        for depth in range(CALLS_PER_ACTOR):
            for pool in self._pools:
                if queue and pool.calls <= depth:
                    item = queue.pop(-1 if pool.takes_costly else 0)
                    calls[pool.actor.run.remote(self._files, item.subnet, item.windows)] = (item, pool)
                    pool.calls += 1

    def _reduce(self, run: _ShardRun) -> Ref:
        return reduce_task.remote(self._context, self._plans.pop(run.index), run.share, run.headers, *run.outputs)


def get(ref: Ref) -> Any:
    """``ray.get`` that raises this package's own errors as they were raised remotely."""
    try:
        return ray.get(ref)
    except RayTaskError as error:
        if isinstance(error.cause, ArmBatchError):
            raise error.cause from None
        raise
