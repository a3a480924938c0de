"""The queue between two kinds of device, for real: CPU actors of one thread and of several, on one machine.

    python benchmarks/dispatch.py --batches 12 12 12 --threads 2

Prints the makespan against the linear program's bound and the simulation's, all from speeds that were measured in
the same run, for the order by measured advantage and for the order by cost. The queue and the actors are those
of a job; the work beside the nets is left out. Quote the ratios.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import ray
from makespans import Devices, least_makespan, simulate_dispatch

from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.execution.batches import BATCH_TILES
from arm_batch.execution.ray import shard_scheduler
from arm_batch.execution.ray.actor_pool import ActorPool, DeviceKind
from arm_batch.execution.ray.profiling import profile_pools, queue_ranks
from arm_batch.execution.ray.shard_scheduler import ShardFlow
from arm_batch.models.ladder_files import load_ladder
from arm_batch.runstate.shard_plan import ShardId


@ray.remote(num_cpus=0)
def nothing(*outputs: object) -> None:
    """In place of stitching and committing."""


class _Blank:
    """Answers `prepare_task.options(...).remote(context, shard, share)`."""

    def __init__(self, window: int, returns: int = 1) -> None:
        self._window, self._returns = window, returns

    def options(self, num_returns: int) -> _Blank:
        return _Blank(self._window, num_returns)

    def remote(self, *_: object) -> object:
        batch = [np.full((BATCH_TILES, self._window, self._window, 3), 128, np.uint8)]
        return [None, *(ray.put(batch) for _ in range(self._returns - 1))]


def run(reference: Any, pool: ActorPool, ranks: Sequence[int], batches: list[int]) -> float:
    """Wall seconds until the actors have run all batches."""
    flow = ShardFlow(None, [reference], pool, ranks)
    tiles = np.array([[0, *(n * BATCH_TILES for n in batches)]], np.int64)
    flow.start(ShardId(0, 0), ShardAllocation(np.array([0]), tiles))
    started = time.perf_counter()
    while len(flow):
        flow.dispatch()
        for ref in ray.wait(flow.pending(), timeout=1)[0]:
            flow.resolve(ref)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", nargs="+", type=int, default=[12, 12, 12], help="of each subnet")
    parser.add_argument("--threads", type=int, default=2, help="of the second kind of actor")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ladder", default="fsrcnn-x4")
    arguments = parser.parse_args()
    files = load_ladder(arguments.ladder)
    n_subnets, window = len(files.nets), files.ladder.grid.window
    # One of its own: another program's cluster may run here too.
    ray.init(address="local", include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    shard_scheduler.prepare_task = _Blank(window)  # type: ignore[assignment, attr-defined]
    shard_scheduler.reduce_task = nothing  # type: ignore[assignment, attr-defined]
    pool = ActorPool((DeviceKind("cpu", "cpu", 1), DeviceKind("cpu2", "cpu", 1, arguments.threads)))
    pool.grow()
    reference = ray.put(files)
    names = [subnet.name for subnet in files.ladder.subnets]
    pool.settle(60)
    run(reference, pool, range(n_subnets), [1] * (n_subnets - 1))
    ratios: dict[str, list[float]] = {"by advantage": [], "by cost": []}
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as fresh:
            # Measured anew each round: what else runs on the machine changes.
            os.environ["XDG_CACHE_HOME"] = fresh
            pools = profile_pools(pool, [reference], files.ladder)
        first, second = (Devices(p.devices, p.seconds[1:] * BATCH_TILES) for p in pools)
        ranks = queue_ranks(pools, n_subnets)
        least = least_makespan(arguments.batches, first, second)
        simulated = simulate_dispatch(arguments.batches, first, second)
        told = ", ".join(
            f"{n} {a / b:.2f}" for n, a, b in zip(names[1:], first.seconds, second.seconds, strict=True)
        )
        print(f"cpu seconds over cpu2 seconds: {told}; least makespan {least:.1f} s, simulated {simulated:.1f} s")
        for order, places in (("by advantage", ranks), ("by cost", range(n_subnets))):
            took = run(reference, pool, places, arguments.batches)
            ratios[order].append(took / least)
            print(f"  {order}: {took:.1f} s, {took / least:.3f} of the least", flush=True)
    for order, each in ratios.items():
        print(f"{order}: {statistics.median(each):.3f} of the least (median of {len(each)})")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    pool.close()
    ray.shutdown()


if __name__ == "__main__":
    main()
