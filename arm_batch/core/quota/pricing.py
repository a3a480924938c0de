"""One price for several jobs that draw from one pool of FLOPs.

Where every job buys the steps that are worth at least the price, no FLOP could do more elsewhere: equal
marginal value is the optimum of a sum (Everett, "Generalized Lagrange multiplier method", Operations Research
1963). Jobs of one ladder then come out as one job over all images would. Objectives differ in what value means,
so jobs must share one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from arm_batch.core.allocation.histogram import Histogram
from arm_batch.core.allocation.knapsack import Allocation, Step, cheapest, spend_of, steps_by_price
from arm_batch.core.allocation.objective import MAX_ROUNDS, class_errors, image_weights
from arm_batch.core.arrays import Counts, Floats
from arm_batch.core.prediction.lut import Lut
from arm_batch.errors import BudgetError


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is left to decide of one job.

    Attributes:
        histogram: tiles not yet begun, ``(n_classes, n_bins)``.
        value: of one tile, ``(n_bins, n_subnets)``.
        weights: of each class, ``(n_classes,)``.
        costs: FLOPs of one tile, ``(n_subnets,)``, ascending.
        fixed: FLOPs that the job has spent or reserved for tiles already begun; no price changes them.
    """

    histogram: Counts
    value: Floats
    weights: Floats
    costs: Counts
    fixed: int = 0

    @property
    def floor(self) -> int:
        """FLOPs that the job needs at least."""
        return self.fixed + spend_of(cheapest(self.histogram, len(self.costs)), self.costs)


def solve_jobs(jobs: Mapping[str, Job], pool: int) -> dict[str, Allocation]:
    """Allocate to all jobs at one common price that spends the pool.

    The steps of all jobs are bought in one order, by falling price; equal prices go by the jobs' names, so the
    outcome does not depend on the order in which they came. It does not depend on earlier prices either: when a
    job comes or goes, call it again with what the others have begun as `fixed`.

    Args:
        jobs: by name.
        pool: FLOPs for all of them, what is fixed included.

    Returns:
        Each job's allocation of its tiles not yet begun. The spends and what is fixed add up to at most the
        pool, and no step that is still open would fit into the rest.

    Raises:
        BudgetError: what is fixed and interpolation of the rest cost more than the pool.
    """
    names = sorted(jobs)
    floor = sum(jobs[name].floor for name in names)
    if floor > pool:
        raise BudgetError(f"the pool of {pool:,} FLOPs is less than the {floor:,} that its jobs need at least")
    left = pool - floor
    tiles = {name: cheapest(jobs[name].histogram, len(jobs[name].costs)) for name in names}
    marginal_values = dict.fromkeys(names, 0.0)
    for name, group, step, marginal_value in _merged(jobs, names):
        cells = tiles[name][group, step.bin]
        bought = min(int(cells[step.source]), left // step.cost)
        if bought:
            cells[step.source] -= bought
            cells[step.target] += bought
            left -= bought * step.cost
            marginal_values[name] = marginal_value
    return {
        name: Allocation(tiles[name], spend_of(tiles[name], jobs[name].costs), marginal_values[name])
        for name in names
    }


def solve_image_jobs(jobs: Mapping[str, tuple[Lut, Histogram, Job]], pool: int) -> dict[str, Allocation]:
    """Like `solve_jobs`, for the mean over the images of all jobs of the image PSNR.

    Each round prices with the weights of the last, as `objective.solve` does for one job. Classes mean the same
    error in every job, so each has one weight in all of them.

    Args:
        jobs: by name the job's table, the histogram of its tiles not yet begun, and the job itself, whose
            weights do not matter.
        pool: FLOPs for all of them.

    Raises:
        BudgetError: as `solve_jobs`.
    """
    tiles = {name: cheapest(histogram.tiles, len(job.costs)) for name, (_, histogram, job) in jobs.items()}
    for _ in range(MAX_ROUNDS):
        images = np.sum([histogram.images for _, histogram, _ in jobs.values()], axis=0)
        errors = np.sum([class_errors(lut, tiles[name]) for name, (lut, _, _) in jobs.items()], axis=0)
        weights = image_weights(images, errors)
        allocations = solve_jobs({name: replace(job, weights=weights) for name, (_, _, job) in jobs.items()}, pool)
        settled = all(np.array_equal(allocations[name].tiles, tiles[name]) for name in jobs)
        tiles = {name: allocation.tiles for name, allocation in allocations.items()}
        if settled:
            break
    return allocations


def _merged(jobs: Mapping[str, Job], names: list[str]) -> Iterator[tuple[str, int, Step, float]]:
    """The steps of all jobs by falling price."""
    streams = []
    for place, job in enumerate(jobs[name] for name in names):
        steps = steps_by_price(job.histogram, job.value, job.weights, job.costs)
        streams.append([(-marginal_value, place, group, step) for group, step, marginal_value in steps])
    # Only price and place are compared: a stable merge keeps each job's own order.
    for negative, place, group, step in heapq.merge(*streams, key=lambda item: item[:2]):
        yield names[place], group, step, -negative
