"""What the queue between two kinds of device comes to in simulation, and what no order of it could beat."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from arm_batch.core.allocation.dispatch import dispatch_order
from arm_batch.core.arrays import Floats


@dataclass(frozen=True)
class Devices:
    """Devices of one kind.

    Attributes:
        count: how many; may be none.
        seconds: of one device for one batch of each subnet, ``(n_subnets,)``.
    """

    count: int
    seconds: Floats


def simulate_dispatch(batches: Sequence[int], cpus: Devices, gpus: Devices) -> float:
    """Wall seconds until every batch is done, dispatched from both ends of the queue.

    Args:
        batches: per subnet, ``(n_subnets,)``.
        cpus: take from the front.
        gpus: take from the back; at least one device in all.
    """
    order = dispatch_order(cpus.seconds, gpus.seconds)
    queue = [subnet for subnet in order for _ in range(batches[subnet])]
    front, back = 0, len(queue)
    # Of devices idle at the same time GPUs come first; each entry is the time from which one is idle.
    idle = [(0.0, 0, i) for i in range(gpus.count)] + [(0.0, 1, i) for i in range(cpus.count)]
    heapq.heapify(idle)
    end = 0.0
    while front < back:
        now, is_cpu, device = heapq.heappop(idle)
        if is_cpu:
            done, front = now + float(cpus.seconds[queue[front]]), front + 1
        else:
            done, back = now + float(gpus.seconds[queue[back - 1]]), back - 1
        end = max(end, done)
        heapq.heappush(idle, (done, is_cpu, device))
    return end


def least_makespan(batches: Sequence[int], cpus: Devices, gpus: Devices) -> float:
    """The linear program's bound: wall seconds if batches could be divided at will among all devices."""
    count = np.array(batches, np.float64)
    kinds = [kind for kind in (cpus, gpus) if kind.count]
    # Variables: batches of each subnet on each kind, then the makespan.
    busy = np.zeros((len(kinds), len(kinds) * len(count) + 1))
    for place, kind in enumerate(kinds):
        busy[place, place * len(count) : (place + 1) * len(count)] = kind.seconds
        busy[place, -1] = -kind.count
    every = np.hstack([np.tile(np.eye(len(count)), len(kinds)), np.zeros((len(count), 1))])
    goal = np.zeros(busy.shape[1])
    goal[-1] = 1
    result = linprog(goal, A_ub=busy, b_ub=np.zeros(len(kinds)), A_eq=every, b_eq=count, method="highs")
    return float(result.fun)
