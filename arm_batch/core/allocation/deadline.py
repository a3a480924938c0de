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

import numpy as np

from arm_batch.core.allocation.budget import Budget
from arm_batch.core.allocation.histogram import Census
from arm_batch.core.allocation.knapsack import Allocation
from arm_batch.core.allocation.lp import Pool, PooledAllocation, allocate_pools
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.allocation.objective import optimise
from arm_batch.core.arrays import Counts, Floats
from arm_batch.core.prediction.lut import Lut
from arm_batch.errors import BudgetError

CPU = "cpu"
"""The kind of pool whose devices run on the cores that also do the work beside the nets."""


@dataclass(frozen=True)
class Fleet:
    """What a cluster was measured to need.

    Attributes:
        pools: its devices, without bounds; one of kind `CPU` among them.
        cores: that the CPU devices and all work beside the nets share.
        beside_seconds: core seconds for a megapixel of input of everything but the nets.
    """

    pools: tuple[Pool, ...]
    cores: int
    beside_seconds: float

    @property
    def held(self) -> dict[str, int]:
        """See `wall_budget`."""
        return {**{pool.kind: pool.devices for pool in self.pools}, CPU: self.cores}


@dataclass(frozen=True)
class Deadline:
    """A time budget, as far as it has gone when there is an allocation to make.

    Attributes:
        fleet: what it is for.
        passed_seconds: wall time since the run began.
    """

    fleet: Fleet
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


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """How a time budget came to an allocation.

    Attributes:
        wall_seconds: of the budget, all in all.
        passed_seconds: of them before the allocation.
        expected_seconds: of the whole run.
        beside_seconds: core seconds reserved for everything but the nets.
        cores: of the cluster.
        pools: its devices.
    """

    wall_seconds: float
    passed_seconds: float
    expected_seconds: float
    beside_seconds: float
    cores: int
    pools: tuple[PoolForecast, ...]


@dataclass(frozen=True)
class TimedAllocation:
    """An allocation, and the time that it is expected to take."""

    allocation: Allocation
    forecast: Forecast

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
    census: Census,
    costs: Counts,
    budget: Budget,
    deadline: Deadline,
    flops: float = np.inf,
) -> TimedAllocation:
    """The allocation that makes an objective best within a time budget.

    Args:
        objective: what to make best.
        lut: predictions.
        census: of the archive.
        costs: FLOPs of one tile by subnet, ascending.
        budget: of time.
        deadline: what there is to meet it with.
        flops: bound on FLOPs beside it.

    Raises:
        BudgetError: the time is less than everything but the nets needs, or it is of devices that are not there.
    """
    fleet = deadline.fleet
    wall = wall_budget(budget, fleet.held)
    beside = fleet.beside_seconds * float(census.pixels.sum()) / 1e6
    left = _seconds_left(budget, deadline, wall, beside)
    bounded = [replace(p, most_seconds=left * fleet.cores - beside) if p.kind == CPU else p for p in fleet.pools]

    def allocate_by(value: Floats, weights: Floats) -> TimedAllocation:
        worth = (weights[:, None, None] * value).reshape(-1, len(costs))
        found = allocate_pools(census.tiles.reshape(-1), worth, costs, bounded, flops, left)
        tiles = found.tiles.sum(axis=2).reshape(*census.tiles.shape, len(costs))
        # The last FLOP is worth nothing where it is time that there is too little of.
        return TimedAllocation(Allocation(tiles, found.flops, 0.0), _forecast(deadline, wall, beside, found))

    return optimise(objective, lut, census, allocate_by)


def _seconds_left(budget: Budget, deadline: Deadline, wall: float, beside: float) -> float:
    """Of the `wall` seconds of a budget; `beside` are the core seconds of everything but the nets.

    Raises:
        BudgetError: they are less than those need.
    """
    left, cores = wall - deadline.passed_seconds, deadline.fleet.cores
    if left * cores < beside or left <= 0:
        raise BudgetError(
            f"the budget {budget.text} is less than interpolation alone needs: it allows {wall:.1f} s, of which "
            f"{deadline.passed_seconds:.1f} s have passed; reading, interpolating and encoding take about "
            f"{beside / cores:.1f} s"
        )
    return left


def _forecast(deadline: Deadline, wall: float, beside: float, found: PooledAllocation) -> Forecast:
    """How long an allocation takes, out of `wall` seconds, with `beside` core seconds for all but the nets."""
    fleet, passed = deadline.fleet, deadline.passed_seconds
    pools = _forecast_pools(fleet, found.tiles.sum(axis=0), found.busy_seconds, beside)
    run = max(beside / fleet.cores, *(pool.wall_seconds for pool in pools))
    return Forecast(
        wall_seconds=wall,
        passed_seconds=passed,
        expected_seconds=passed + run,
        beside_seconds=beside,
        cores=fleet.cores,
        pools=pools,
    )


def alone_seconds(fleet: Fleet, tiles: Counts | Floats, pixels: float) -> dict[str, float]:
    """Wall seconds of each kind of pool by itself, if it ran all nets; planning has gone before.

    Args:
        fleet: as measured.
        tiles: by subnet, ``(n_subnets,)``.
        pixels: of the input.
    """
    beside = fleet.beside_seconds * pixels / 1e6
    return {
        pool.kind: max(beside / fleet.cores, _wall_seconds(fleet, pool, float(pool.seconds @ tiles), beside))
        for pool in fleet.pools
    }


def _wall_seconds(fleet: Fleet, pool: Pool, busy: float, beside: float) -> float:
    """Of a pool whose devices are busy so long together; with the work beside the nets, where they share that."""
    # Fewer devices than cores leave whole cores to the work beside them; else both take turns.
    return max(busy / pool.devices, (busy + beside) / fleet.cores if pool.kind == CPU else 0.0)


def _forecast_pools(fleet: Fleet, tiles: Counts, busy: Floats, beside: float) -> tuple[PoolForecast, ...]:
    """Of each pool, from its tiles ``(n_subnets, n_pools)`` and the seconds that its devices are busy."""
    return tuple(
        PoolForecast(
            kind=pool.kind,
            devices=pool.devices,
            seconds=tuple(pool.seconds.tolist()),
            tiles=(0, *tiles[1:, place].tolist()),
            wall_seconds=_wall_seconds(fleet, pool, seconds, beside),
        )
        for place, (pool, seconds) in enumerate(zip(fleet.pools, busy.tolist(), strict=True))
    )
