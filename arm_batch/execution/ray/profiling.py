"""Measuring a Ray cluster: its actors by kind, and the work beside them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from arm_batch.core.allocation.dispatch import dispatch_order
from arm_batch.core.allocation.lp import Pool
from arm_batch.core.prediction.ladder import Ladder
from arm_batch.errors import ArmBatchError
from arm_batch.execution.profiling import Sampled, per_megapixel, sample_shards, speed_key
from arm_batch.execution.ray.actor_pool import ActorPool, Worker
from arm_batch.execution.ray.faults import Ref, WorkerLostError, get
from arm_batch.execution.ray.tasks import host_overhead_task
from arm_batch.execution.speed_cache import cache_file, recall, remember

SETTLE_S = 60.0
"""How long actors may take to start before the others are measured without them."""

SAMPLES_PER_CORE = 2


def profile_pools(pool: ActorPool, files: list[Ref], ladder: Ladder) -> tuple[Pool, ...]:
    """The pools of a cluster with their seconds per tile, measured or remembered.

    All actors are measured at once, so that what they cost each other is in the figures. Devices of one kind that
    differ count as the mean of their speeds: whoever is faster gets more batches.

    Args:
        pool: the actors; none of them busy.
        files: reference to the ladder, in a list.
        ladder: the same.

    Raises:
        ArmBatchError: no actor can be measured.
    """
    pool.grow()
    workers = pool.settle(SETTLE_S)
    keys = _keys(pool, workers, ladder)
    path = cache_file()
    known = {key: recall(path, key, len(ladder.subnets)) for key in keys.values()}
    speeds = {key: seconds for key, seconds in known.items() if seconds is not None}
    if len(speeds) < len(known):
        speeds = _measure(pool, keys, files)
        remember(path, speeds)
    by_kind: defaultdict[str, list[list[float]]] = defaultdict(list)
    for worker, key in keys.items():
        by_kind[worker.kind.name].append(speeds[key])
    if not by_kind:
        raise ArmBatchError("no worker of the cluster could be measured")
    return tuple(
        Pool(kind=kind, devices=len(each), seconds=np.array(_mean_speed(each))) for kind, each in by_kind.items()
    )


def profile_host(context: Ref, shards: Sequence[Sampled], cores: int) -> float:
    """Core seconds per LR megapixel of everything but the nets, from a sample of shards."""
    samples = []
    for task in [host_overhead_task.remote(context, s) for s in sample_shards(shards, SAMPLES_PER_CORE * cores)]:
        try:
            samples.append(get(task))
        except WorkerLostError:
            # The run finds out what is wrong with it, and bears it.
            continue
    return per_megapixel(samples)


def queue_ranks(pools: Sequence[Pool], n_subnets: int) -> list[int]:
    """The place of each subnet in the queue: by the advantage of the second pool over the first, else by cost."""
    ranks = list(range(n_subnets))
    if len(pools) > 1:
        # Interpolation, the first subnet, is not in the queue.
        for rank, subnet in enumerate(dispatch_order(pools[0].seconds[1:], pools[1].seconds[1:])):
            ranks[1 + subnet] = 1 + rank
    return ranks


def _keys(pool: ActorPool, workers: Sequence[Worker], ladder: Ladder) -> dict[Worker, str]:
    """What each worker's speeds are kept under."""
    asked = [(worker, worker.actor.hardware.remote()) for worker in workers]
    told = _answers(pool, asked)
    counts = [worker.kind for worker in told]
    return {w: speed_key(w.kind.name, name, counts.count(w.kind), ladder) for w, name in told.items()}


def _measure(pool: ActorPool, keys: dict[Worker, str], files: list[Ref]) -> dict[str, list[float]]:
    """Measure all workers at once; those that are lost over it disappear from `keys`."""
    told = _answers(pool, [(worker, worker.actor.measure.remote(files)) for worker in keys])
    for lost in set(keys) - set(told):
        del keys[lost]
    by_key: defaultdict[str, list[list[float]]] = defaultdict(list)
    for worker, seconds in told.items():
        by_key[keys[worker]].append(seconds)
    return {key: _mean_speed(each) for key, each in by_key.items()}


def _answers(pool: ActorPool, calls: Sequence[tuple[Worker, Ref]]) -> dict[Worker, Any]:
    answers: dict[Worker, Any] = {}
    for worker, ref in calls:
        try:
            answers[worker] = get(ref)
        except WorkerLostError as error:
            if error.actor_died:
                pool.replace(worker)
    return answers


def _mean_speed(each: Sequence[Sequence[float]]) -> list[float]:
    """Seconds per tile of the mean device, tiles being divided by speed."""
    return [statistics.harmonic_mean(seconds) for seconds in zip(*each, strict=True)]
