"""Allocation within a time: how long a run takes is the devices' work on nets, and the cores' work beside it.

Reading images, cutting, interpolating, stitching and encoding them is work of the cluster's cores, the same
whatever the budget buys. It is measured on a sample of the archive, in core seconds per megapixel, and reserved
before any net runs. The CPU devices run on those cores too, so the reserve is taken from their time. Interpolated
tiles are part of it.

Device-hours count from the start of the run to its end, whether a device is busy or idle, as they are billed: n
devices for an hour are n device-hours. So every budget of time comes down to wall seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from arm_batch.core.allocation.budget import Budget
from arm_batch.core.allocation.histogram import Histogram
from arm_batch.core.allocation.knapsack import Allocation
from arm_batch.core.allocation.lp import DeviceAllocation, Pool, allocate_devices
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.allocation.objective import optimise
from arm_batch.core.arrays import Counts, Floats
from arm_batch.core.prediction.lut import Lut
from arm_batch.errors import BudgetError

CPU = "cpu"
"""The kind of pool whose devices run on the cores that also do the work beside the nets."""


@dataclass(frozen=True)
class ClusterProfile:
    """What a cluster was measured to need.

    Attributes:
        pools: its devices, without bounds; one of kind `CPU` among them.
        cores: that the CPU devices and all work beside the nets share.
        host_seconds: core seconds for a megapixel of input of everything but the nets.
    """

    pools: tuple[Pool, ...]
    cores: int
    host_seconds: float

    @property
    def held(self) -> dict[str, int]:
        """See `wall_budget`."""
        return {**{pool.kind: pool.devices for pool in self.pools}, CPU: self.cores}


@dataclass(frozen=True)
class Deadline:
    """A time budget, as far as it has gone when there is an allocation to make.

    Attributes:
        cluster_profile: what it is for.
        passed_seconds: wall time since the run began.
    """

    cluster_profile: ClusterProfile
    passed_seconds: float


@dataclass(frozen=True, kw_only=True)
class PoolForecast:
    """What one pool is expected to do.

    Attributes:
        kind: of its devices.
        devices: how many.
        seconds: measured, of one device for one tile by subnet; interpolation is in the work beside the nets.
        tiles: that it is expected to run, by subnet; none of interpolation.
        wall_seconds: that its devices are expected to need, with the work beside the nets where they share it.
    """

    kind: str
    devices: int
    seconds: tuple[float, ...]
    tiles: tuple[int, ...]
    wall_seconds: float


class TimeForecast(msgspec.Struct, frozen=True, kw_only=True):
    """How a time budget came to an allocation.

    Attributes:
        wall_seconds: of the budget, all in all.
        passed_seconds: of them before the allocation.
        expected_seconds: of the whole run.
        host_seconds: core seconds reserved for everything but the nets.
        cores: of the cluster.
        pools: its devices.
    """

    wall_seconds: float
    passed_seconds: float
    expected_seconds: float
    host_seconds: float = msgspec.field(name="beside_seconds")
    cores: int
    pools: tuple[PoolForecast, ...]


@dataclass(frozen=True)
class TimedAllocation:
    """An allocation, and the time that it is expected to take."""

    allocation: Allocation
    forecast: TimeForecast

    @property
    def tiles(self) -> Counts:
        """``(n_classes, n_bins, n_subnets)``."""
        return self.allocation.tiles


def wall_budget(budget: Budget, held: Mapping[str, int]) -> float:
    """The wall seconds that a time budget comes to on a cluster.

    Args:
        budget: of time.
        held: how many devices of each kind the run holds; of kind `CPU`, cores.

    Raises:
        BudgetError: it is of device-hours of a kind that the cluster does not have.
    """
    assert budget.seconds is not None
    if budget.kind == "wall":
        return budget.seconds
    if not held.get(budget.kind):
        raise BudgetError(f"the budget {budget.text} needs a {budget.kind.upper()}, and there is none")
    return budget.seconds / held[budget.kind]


def solve_timed(
    objective: Objective,
    lut: Lut,
    histogram: Histogram,
    costs: Counts,
    budget: Budget,
    deadline: Deadline,
    flops: float = np.inf,
) -> TimedAllocation:
    """The allocation that makes an objective best within a time budget.

    Args:
        objective: what to make best.
        lut: predictions.
        histogram: of the archive.
        costs: FLOPs of one tile by subnet, ascending.
        budget: of time.
        deadline: what there is to meet it with.
        flops: bound on FLOPs beside it.

    Raises:
        BudgetError: the time is less than everything but the nets needs, or it is of devices that are not there.
    """
    cluster_profile = deadline.cluster_profile
    wall = wall_budget(budget, cluster_profile.held)
    host_overhead = cluster_profile.host_seconds * float(histogram.pixels.sum()) / 1e6
    left = _seconds_left(budget, deadline, wall, host_overhead)
    bounded = [
        replace(p, most_seconds=left * cluster_profile.cores - host_overhead) if p.kind == CPU else p
        for p in cluster_profile.pools
    ]

    def allocate_by(value: Floats, weights: Floats) -> TimedAllocation:
        worth = (weights[:, None, None] * value).reshape(-1, len(costs))
        found = allocate_devices(histogram.tiles.reshape(-1), worth, costs, bounded, flops, left)
        tiles = found.tiles.sum(axis=2).reshape(*histogram.tiles.shape, len(costs))
        # The last FLOP is worth nothing where it is time that there is too little of.
        return TimedAllocation(
            Allocation(tiles, found.flops, 0.0), _forecast(deadline, wall, host_overhead, found)
        )

    return optimise(objective, lut, histogram, allocate_by)


def _seconds_left(budget: Budget, deadline: Deadline, wall: float, host_overhead: float) -> float:
    """Of the `wall` seconds of a budget; `host_overhead` are the core seconds of everything but the nets.

    Raises:
        BudgetError: they are less than those need.
    """
    left, cores = wall - deadline.passed_seconds, deadline.cluster_profile.cores
    if left * cores < host_overhead or left <= 0:
        raise BudgetError(
            f"the budget {budget.text} is less than interpolation alone needs: it allows {wall:.1f} s, of which "
            f"{deadline.passed_seconds:.1f} s have passed; reading, interpolating and encoding take about "
            f"{host_overhead / cores:.1f} s"
        )
    return left


def _forecast(deadline: Deadline, wall: float, host_overhead: float, found: DeviceAllocation) -> TimeForecast:
    """How long an allocation takes out of `wall` seconds, `host_overhead` core seconds of them beside the nets."""
    cluster_profile, passed = deadline.cluster_profile, deadline.passed_seconds
    pools = _forecast_pools(cluster_profile, found.tiles.sum(axis=0), found.busy_seconds, host_overhead)
    run = max(host_overhead / cluster_profile.cores, *(pool.wall_seconds for pool in pools))
    return TimeForecast(
        wall_seconds=wall,
        passed_seconds=passed,
        expected_seconds=passed + run,
        host_seconds=host_overhead,
        cores=cluster_profile.cores,
        pools=pools,
    )


def alone_seconds(cluster_profile: ClusterProfile, tiles: Counts | Floats, pixels: float) -> dict[str, float]:
    """Wall seconds of each kind of pool by itself, if it ran all nets; planning has gone before.

    Args:
        cluster_profile: as measured.
        tiles: by subnet, ``(n_subnets,)``.
        pixels: of the input.
    """
    host_overhead = cluster_profile.host_seconds * pixels / 1e6
    return {
        pool.kind: max(
            host_overhead / cluster_profile.cores,
            _wall_seconds(cluster_profile, pool, float(pool.seconds @ tiles), host_overhead),
        )
        for pool in cluster_profile.pools
    }


def _wall_seconds(cluster_profile: ClusterProfile, pool: Pool, busy: float, host_overhead: float) -> float:
    """Of a pool whose devices are busy so long together; with the work beside the nets, where they share that."""
    # Fewer devices than cores leave whole cores to the work beside them; else both take turns.
    return max(busy / pool.devices, (busy + host_overhead) / cluster_profile.cores if pool.kind == CPU else 0.0)


def _forecast_pools(
    cluster_profile: ClusterProfile, tiles: Counts, busy: Floats, host_overhead: float
) -> tuple[PoolForecast, ...]:
    """Of each pool, from its tiles ``(n_subnets, n_pools)`` and the seconds that its devices are busy."""
    return tuple(
        PoolForecast(
            kind=pool.kind,
            devices=pool.devices,
            seconds=tuple(pool.seconds.tolist()),
            tiles=(0, *tiles[1:, place].tolist()),
            wall_seconds=_wall_seconds(cluster_profile, pool, seconds, host_overhead),
        )
        for place, (pool, seconds) in enumerate(zip(cluster_profile.pools, busy.tolist(), strict=True))
    )
