"""The allocation: which subnet each cell of tiles gets, so that a budget buys the most quality.

The problem is a multiple-choice knapsack: choose for every tile one subnet, maximise the summed value, keep the
summed cost within the budget. Tiles of one bin are alike, so per bin only the upper concave hull of
(cost, value) matters, and taking the hull's steps by falling value per FLOP is optimal for the sum it
spends (Sinha & Zoltners, "The Multiple-Choice Knapsack Problem", Operations Research 1979). The
number of tiles enters only as a multiplier: 10**9 tiles cost what a thousand do.

A cell is a bin of one class of images. Classes differ in what their tiles count for (see `objective`), so that the
hulls are those of the bins and only the prices are each class's own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from arm_batch.core.arrays import Counts, Floats
from arm_batch.errors import BudgetError


@dataclass(frozen=True)
class Allocation:
    """How many tiles of each cell get each subnet.

    Attributes:
        tiles: ``(n_classes, n_bins, n_subnets)``.
        spend: FLOPs in all.
        marginal_value: value per FLOP of the last step bought (0 when none was): what one more FLOP is worth.
    """

    tiles: Counts
    spend: int
    marginal_value: float


@dataclass(frozen=True, kw_only=True)
class Step:
    """An upgrade of one tile along its bin's hull."""

    bin: int
    source: int
    target: int
    cost: int
    marginal_value: float


def allocate(histogram: Counts, value: Floats, weights: Floats, costs: Counts, budget: int) -> Allocation:
    """Spend `budget` FLOPs where they buy the most value.

    Steps of equal prediction are bought too, last: a budget is there to be spent. Steps to a lower
    value never are.

    Args:
        histogram: tiles per class and bin, ``(n_classes, n_bins)``.
        value: of one tile, ``(n_bins, n_subnets)``; any unit that adds up over tiles.
        weights: what a unit of value counts for in each class, positive where it has tiles, ``(n_classes,)``.
        costs: FLOPs of one tile, ``(n_subnets,)``, ascending.
        budget: FLOPs.

    Returns:
        An allocation that spends at most the budget; no step that is still open would fit into the rest.

    Raises:
        BudgetError: the cheapest subnet everywhere costs more than the budget.

    >>> value = np.array([[0., 1.], [0., 9.]])
    >>> allocate(np.array([[3, 1]]), value, np.ones(1), np.array([1, 3]), 7).tiles.tolist()
    [[[3, 0], [0, 1]]]
    """
    tiles = cheapest(histogram, len(costs))
    floor = spend_of(tiles, costs)
    if floor > budget:
        raise BudgetError(f"budget {budget:,} FLOPs is less than the {floor:,} that interpolation alone needs")
    left, marginal_value = budget - floor, 0.0
    for group, step, offered in steps_by_price(histogram, value, weights, costs):
        bought = min(int(tiles[group, step.bin, step.source]), left // step.cost)
        if bought:
            tiles[group, step.bin, step.source] -= bought
            tiles[group, step.bin, step.target] += bought
            left -= bought * step.cost
            marginal_value = offered
    return Allocation(tiles, budget - left, marginal_value)


def steps_by_price(
    histogram: Counts, value: Floats, weights: Floats, costs: Counts
) -> Iterator[tuple[int, Step, float]]:
    """Every step open to some tile, best first; those of one cell in the order in which a tile takes them.

    Yields:
        Class, step and the step's price in that class.
    """
    steps = [step for b in range(len(value)) for step in _hull(b, value[b], costs)]
    bins = np.array([step.bin for step in steps], np.intp)
    marginal_values = weights[:, None] * np.array([step.marginal_value for step in steps])[None, :]
    # The sort is stable, so the steps of one cell stay in order where their prices are equal.
    order = np.argsort(-marginal_values, axis=None, kind="stable")
    groups, positions = np.unravel_index(order, marginal_values.shape)
    occupied = histogram[groups, bins[positions]] > 0
    for group, position in zip(groups[occupied].tolist(), positions[occupied].tolist(), strict=True):
        yield group, steps[position], float(marginal_values[group, position])


def cheapest(histogram: Counts, n_subnets: int) -> Counts:
    """Interpolation everywhere, ``(n_classes, n_bins, n_subnets)``."""
    tiles = np.zeros((*histogram.shape, n_subnets), np.int64)
    tiles[..., 0] = histogram
    return tiles


def spend_of(tiles: Counts, costs: Counts) -> int:
    """FLOPs of tiles per subnet ``(..., n_subnets)``, exact beyond 64 bits."""
    per_subnet = tiles.reshape(-1, len(costs)).sum(axis=0).tolist()
    return sum(count * cost for count, cost in zip(per_subnet, costs.tolist(), strict=True))


def _hull(bin_index: int, value: Floats, costs: Counts) -> list[Step]:
    """The steps along the upper concave hull of one bin, prices never rising, down to price 0."""
    hull = [0]
    for candidate in range(1, len(costs)):
        while len(hull) > 1 and _marginal_value(hull[-1], candidate, value, costs) > _marginal_value(
            hull[-2], hull[-1], value, costs
        ):
            hull.pop()
        hull.append(candidate)
    steps: list[Step] = []
    for source, target in itertools.pairwise(hull):
        marginal_value = _marginal_value(source, target, value, costs)
        if marginal_value < 0:
            break
        steps.append(
            Step(
                bin=bin_index,
                source=source,
                target=target,
                cost=int(costs[target] - costs[source]),
                marginal_value=marginal_value,
            )
        )
    return steps


def _marginal_value(source: int, target: int, value: Floats, costs: Counts) -> float:
    return float((value[target] - value[source]) / (costs[target] - costs[source]))
