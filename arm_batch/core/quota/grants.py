"""What one common price gives each job of a pool.

Jobs of one ladder are counted together: their steps cost and win the same, so that together they are one archive,
and each gets the part that its tiles have of every cell. Ladders are then priced against each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from arm_batch.core.allocation.apportion import apportion
from arm_batch.core.allocation.histogram import Histogram, ShardHistogram, class_count, gather
from arm_batch.core.allocation.knapsack import Allocation, cheapest, spend_of
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.arrays import Counts
from arm_batch.core.prediction.lut import Lut
from arm_batch.core.quota.claim import Claim
from arm_batch.core.quota.pricing import Job, solve_image_jobs, solve_jobs
from arm_batch.core.quota.state import QuotaState
from arm_batch.errors import BudgetError


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a job has to do.

    Attributes:
        lut: predictions of its ladder.
        costs: FLOPs of one tile, ``(n_subnets,)``, ascending.
        portions: the histogram of each.
        sizes: shards of each portion; empty where a job has not told, as in pools that are older than this.
    """

    lut: Lut
    costs: Counts
    portions: tuple[ShardHistogram, ...]
    sizes: tuple[int, ...] = ()

    def is_sound(self, objective: Objective) -> bool:
        """Whether its parts fit together, in a pool of this objective."""
        classes = class_count(objective)
        costs_fit = self.costs.shape == (self.lut.mse.shape[1],) and bool(
            (np.diff(self.costs, prepend=0) > 0).all()
        )
        sizes_fit = len(self.sizes) in (0, len(self.portions)) and min(self.sizes, default=1) > 0
        return costs_fit and sizes_fit and all(part.lies_in(classes, self.lut.n_bins) for part in self.portions)


def price_grants(state: QuotaState, objective: Objective, demands: Mapping[str, Demand]) -> dict[str, int]:
    """The FLOPs that each active job may spend in all, at the price that spends the pool.

    What was begun stays as it is, and every job keeps enough for interpolation of what was not.

    Args:
        state: of the pool.
        objective: of its jobs.
        demands: of the active jobs, by id.

    Raises:
        BudgetError: the pool is less than what is begun and interpolation of the rest.
    """
    if not demands:
        return {}
    names = sorted(demands)
    rests = {name: _rest(demands[name], state.jobs[name], objective) for name in names}
    ladders: dict[tuple[str, bytes], list[str]] = {}
    for name in names:
        ladder = (demands[name].lut.to_json(), demands[name].costs.tobytes())
        ladders.setdefault(ladder, []).append(name)
    together = {
        members[0]: sum((rests[name] for name in members[1:]), rests[members[0]]) for members in ladders.values()
    }
    allocations = _marginal_value(objective, demands, together, state.total - state.fixed)
    grants: dict[str, int] = {}
    for members in ladders.values():
        spends = _spends(allocations[members[0]], [rests[name] for name in members], demands[members[0]].costs)
        grants |= {name: state.jobs[name].fixed + spend for name, spend in zip(members, spends, strict=True)}
    return grants


def check_room(state: QuotaState, objective: Objective, demands: Mapping[str, Demand], job: str) -> None:
    """Refuse a job whose interpolation does not fit beside what the others need.

    Args:
        state: with the job registered.
        objective: of its jobs.
        demands: of the active jobs, by id.
        job: the one that asks.

    Raises:
        BudgetError: says how much is left and how much it takes.
    """
    needs = {name: _floor(_rest(demands[name], state.jobs[name], objective), demands[name]) for name in demands}
    need = needs.pop(job)
    left = state.total - state.fixed - sum(needs.values())
    if need > left:
        raise BudgetError(
            f"{max(left, 0):,} FLOPs are left of the pool {state.name}, less than the {need:,} that interpolation "
            "alone needs here"
        )


def check_rest(state: QuotaState, objective: Objective, demand: Demand, job: str) -> None:
    """Refuse that a job has begun so much that what it has not could not even be interpolated.

    Args:
        state: with the portion begun.
        objective: of the pool's jobs.
        demand: of the job.
        job: which.

    Raises:
        BudgetError: the rest of its grant is too little.
    """
    claim = state.claim(job)
    left, need = claim.grant - claim.fixed, _floor(_rest(demand, claim, objective), demand)
    if left < need:
        raise BudgetError(
            f"{job} would have {left:,} FLOPs of its grant left, less than the {need:,} that interpolation alone "
            "needs for the rest"
        )


def _rest(demand: Demand, claim: Claim, objective: Objective) -> Histogram:
    """What of a job has not begun."""
    parts = [part for number, part in enumerate(demand.portions) if claim.begun(number) is None]
    return gather(parts, objective, demand.lut)


def _floor(rest: Histogram, demand: Demand) -> int:
    return spend_of(cheapest(rest.tiles, len(demand.costs)), demand.costs)


def _marginal_value(
    objective: Objective, demands: Mapping[str, Demand], rests: Mapping[str, Histogram], left: int
) -> dict[str, Allocation]:
    jobs = {}
    for name, rest in rests.items():
        demand = demands[name]
        value = demand.lut.psnr_db if objective == "psnr" else -demand.lut.mse
        jobs[name] = Job(histogram=rest.tiles, value=value, weights=np.ones(len(rest.images)), costs=demand.costs)
    if objective != "image-psnr":
        return solve_jobs(jobs, left)
    return solve_image_jobs({name: (demands[name].lut, rests[name], job) for name, job in jobs.items()}, left)


def _spends(allocation: Allocation, rests: Sequence[Histogram], costs: Counts) -> list[int]:
    """FLOPs of each of several jobs that were allocated as one."""
    cells = [np.flatnonzero(rest.tiles) for rest in rests]
    counts = [rest.tiles.ravel()[there] for rest, there in zip(rests, cells, strict=True)]
    tiles = allocation.tiles.reshape(-1, len(costs))
    shares = apportion(tiles, np.concatenate(cells), np.concatenate(counts))
    return [spend_of(share, costs) for share in np.split(shares, np.cumsum([len(there) for there in cells])[:-1])]
