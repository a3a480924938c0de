"""Shards on their way through a Ray cluster: cut, upscaled batch by batch, stitched and committed."""

from __future__ import annotations

import itertools
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.execution.batches import batch_subnets
from arm_batch.execution.ray.actor_pool import CALLS_PER_ACTOR, ActorPool, Worker
from arm_batch.execution.ray.faults import Ref, WorkerLostError, get
from arm_batch.execution.ray.tasks import commit_task, prepare_task, reduce_task
from arm_batch.runstate.commit import Commit
from arm_batch.runstate.shard_plan import ShardId


@dataclass(eq=False)
class ShardRun:
    """One attempt at a shard.

    Attributes:
        shard: which.
        share: of the budget.
        head: reference to its `ShardHead`; None where its images run one by one.
        outputs: references to the upscaled tiles of each batch, or to the row of each image, as far as they are
            there.
        over: whether the attempt is given up; what still comes of it is dropped.
    """

    shard: ShardId
    share: ShardAllocation
    head: Ref | None
    outputs: list[Ref | None]
    over: bool = False


@dataclass(frozen=True)
class Lost:
    """An attempt at a shard that came to nothing."""

    run: ShardRun
    reason: str


@dataclass(order=True)
class _Queued:
    """Something for an actor to do, a batch or an image by itself; ordered by rank, then by age.

    Attributes:
        rank: place in the queue.
        number: age.
        run: the attempt it belongs to.
        position: of what comes of it in the attempt's outputs.
        submit: calls an actor; references to nothing, which tells how it went, and to what comes of it.
        weight: how many calls it counts for.
    """

    rank: int
    number: int
    run: ShardRun = field(compare=False)
    position: int = field(compare=False)
    submit: Callable[[Any], tuple[Ref, Ref]] = field(compare=False)
    weight: int = field(compare=False)


class ShardFlow:
    """The attempts under way, and the queue of their batches.

    One queue serves all devices. Devices of the first kind, CPUs, take batches from its front, all others from its
    end, where the subnets wait at which they are ahead most.

    Args:
        context: reference to the `JobContext`.
        files: reference to the ladder, in a list, so that it travels as a reference.
        pool: where batches run.
        ranks: the place of each subnet in the queue.
    """

    def __init__(self, context: Ref, files: list[Ref], pool: ActorPool, ranks: Sequence[int]) -> None:
        self._context = context
        self._files = files
        self._pool = pool
        self._ranks = ranks
        self._queue: list[_Queued] = []
        self._calls: dict[Ref, tuple[_Queued, Worker, Ref]] = {}
        self._reduces: dict[Ref, ShardRun] = {}
        self._runs: set[ShardRun] = set()
        self._numbers = itertools.count()

    def __len__(self) -> int:
        """Attempts under way."""
        return len(self._runs)

    def start(self, shard: ShardId, share: ShardAllocation) -> None:
        """Start an attempt: read the shard and queue its batches; their number follows from the share."""
        subnets = batch_subnets(share)
        refs = cast(Any, prepare_task.options(num_returns=1 + len(subnets)).remote(self._context, shard, share))
        head, *windows = refs if subnets else [refs]
        run = ShardRun(shard, share, head, [None] * len(subnets))
        self._runs.add(run)
        for position, (subnet, ref) in enumerate(zip(subnets, windows, strict=True)):
            submit = partial(_submit_batch, files=self._files, subnet=subnet, windows=ref)
            insort(self._queue, _Queued(self._ranks[subnet], next(self._numbers), run, position, submit, 1))
        if not subnets:
            self._reduce(run)

    def start_alone(self, shard: ShardId, share: ShardAllocation, images: Sequence[int]) -> None:
        """Start an attempt at a shard with large images: each, by position, runs by itself, on a GPU above all."""
        run = ShardRun(shard, share, None, [None] * len(images))
        self._runs.add(run)
        rank = len(self._ranks) if self._pool.is_mixed else -1
        for place, position in enumerate(images):
            submit = partial(_submit_image, files=self._files, context=self._context, run=run, position=position)
            # It may take long: nothing else is to wait behind it at its actor.
            insort(self._queue, _Queued(rank, next(self._numbers), run, place, submit, CALLS_PER_ACTOR))

    def dispatch(self) -> None:
        """Hand queued batches to actors that have room."""
        for worker in self._pool.with_room():
            if not self._queue:
                return
            item = self._queue.pop(0 if self._pool.is_first_kind(worker) else -1)
            told, output = item.submit(worker.actor)
            self._calls[told] = (item, worker, output)
            worker.calls += item.weight

    def pending(self) -> list[Ref]:
        """What to wait for."""
        return [*self._calls, *self._reduces]

    def resolve(self, ref: Ref) -> Commit | Lost | None:
        """Take note of a reference of `pending` that is there: a commit, the loss of an attempt, or a step on."""
        if ref in self._calls:
            item, worker, output = self._calls.pop(ref)
            worker.calls -= item.weight
            return self._resolve_call(ref, item, worker, output)
        run = self._reduces.pop(ref)
        try:
            commit = cast(Commit, get(ref))
        except WorkerLostError as error:
            return self._give_up(run, error)
        self._runs.discard(run)
        return commit

    def abandon(self) -> list[ShardRun]:
        """Give up all that is under way; returns the attempts."""
        runs = list(self._runs)
        for run in runs:
            self._end(run)
        return runs

    def _resolve_call(self, ref: Ref, item: _Queued, worker: Worker, output: Ref) -> Lost | None:
        try:
            get(ref)
        except WorkerLostError as error:
            if error.actor_died:
                self._pool.replace(worker)
            return self._give_up(item.run, error)
        if not item.run.over:
            item.run.outputs[item.position] = output
            if None not in item.run.outputs:
                self._reduce(item.run)
        return None

    def _reduce(self, run: ShardRun) -> None:
        if run.head is None:
            commit = commit_task.remote(self._context, run.shard, run.share.revision, {}, *run.outputs)
        else:
            commit = reduce_task.remote(self._context, run.share, run.head, *run.outputs)
        self._reduces[commit] = run

    def _give_up(self, run: ShardRun, error: WorkerLostError) -> Lost | None:
        """Once an attempt; what else fails of it is a consequence."""
        if run.over:
            return None
        self._end(run)
        return Lost(run, str(error))

    def _end(self, run: ShardRun) -> None:
        run.over = True
        run.outputs.clear()
        self._runs.discard(run)
        self._queue = [item for item in self._queue if item.run is not run]


def _submit_batch(actor: Any, files: list[Ref], subnet: int, windows: Ref) -> tuple[Ref, Ref]:
    told, pixels = actor.run.options(num_returns=2).remote(files, subnet, windows)
    return told, pixels


def _submit_image(actor: Any, files: list[Ref], context: Ref, run: ShardRun, position: int) -> tuple[Ref, Ref]:
    method = actor.run_image.options(num_returns=2)
    told, row = method.remote(files, context, run.shard, run.share, position)
    return told, row
