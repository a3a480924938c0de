"""The allocation: which subnet each score bin gets, so that a budget buys the most quality.

The problem is a multiple-choice knapsack: choose for every tile one subnet, maximise the summed value, keep the
summed cost within the budget. Tiles of one bin are alike, so per bin only the upper concave hull of
(cost, value) matters, and taking the hull's steps by falling value per FLOP is optimal for the sum it
spends (Sinha & Zoltners, "The Multiple-Choice Knapsack Problem", Operations Research 1979). The
number of tiles enters only as a multiplier: 10**9 tiles cost what a thousand do.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arm_batch.errors import BudgetError

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Allocation:
    """How many tiles of each bin get each subnet.

    Attributes:
        tiles: ``(n_bins, n_subnets)``.
        spend: FLOPs in all.
        price: value per FLOP of the last step bought (0 when none was): what one FLOP more would be worth.
    """

    tiles: Counts
    spend: int
    price: float


@dataclass(frozen=True)
class Step:
    """An upgrade of one tile along its bin's hull."""

    bin: int
    source: int
    target: int
    cost: int
    price: float


def allocate(histogram: Counts, value: NDArray[np.float64], costs: Counts, budget: int) -> Allocation:
    """Spend `budget` FLOPs where they buy the most value.

    Steps of equal prediction are bought too, last: a budget is there to be spent. Steps to a lower
    value never are.

    Args:
        histogram: tiles per bin, ``(n_bins,)``.
        value: of one tile, ``(n_bins, n_subnets)``; any unit that adds up over tiles.
        costs: FLOPs of one tile, ``(n_subnets,)``, ascending.
        budget: FLOPs.

    Returns:
        An allocation that spends at most the budget; no step that is still open would fit into the rest.

    Raises:
        BudgetError: the cheapest subnet everywhere costs more than the budget.

    >>> allocate(np.array([3, 1]), np.array([[0., 1.], [0., 9.]]), np.array([1, 3]), 7).tiles.tolist()
    [[3, 0], [0, 1]]
    """
    tiles = np.zeros(value.shape, np.int64)
    tiles[:, 0] = histogram
    floor = int(histogram.sum()) * int(costs[0])
    if floor > budget:
        raise BudgetError(f"budget {budget:,} FLOPs is less than the {floor:,} that interpolation alone needs")
    left, price = budget - floor, 0.0
    for step in _steps_by_price(histogram, value, costs):
        bought = min(int(tiles[step.bin, step.source]), left // step.cost)
        if bought:
            tiles[step.bin, step.source] -= bought
            tiles[step.bin, step.target] += bought
            left -= bought * step.cost
            price = step.price
    return Allocation(tiles, budget - left, price)


def share_out(tiles: Counts, histograms: Counts) -> Counts:
    """Divide an allocation among shards, exactly and independently of the order they run in.

    For each bin and subnet the shards' shares follow their tile counts, rounded so that every running total is
    the floor of its exact value: shares are whole, none exceeds what the shard has, and they add up.

    Args:
        tiles: ``(n_bins, n_subnets)`` over the archive.
        histograms: tiles per shard and bin, ``(n_shards, n_bins)``; column sums equal the row sums of `tiles`.

    Returns:
        ``(n_shards, n_bins, n_subnets)``, summing to `tiles` over shards and to `histograms` over subnets.
    """
    n_shards, n_bins = histograms.shape
    shares = np.zeros((n_shards, n_bins, tiles.shape[1]), np.int64)
    below = histograms
    for subnet in range(tiles.shape[1]):
        # `above`: tiles of each shard that get a costlier subnet than this one.
        above = _proportional(below, tiles[:, subnet + 1 :].sum(axis=1))
        shares[:, :, subnet] = below - above
        below = above
    return shares


def assign(scores: NDArray[np.float32], bins: NDArray[np.intp], share: Counts) -> NDArray[np.intp]:
    """The subnet of each tile of a shard, from the shard's share.

    Inside a bin the tiles with the higher score get the costlier subnets; equal scores go by position.

    Args:
        scores: of the shard's tiles in plan order, ``(n_tiles,)``.
        bins: their bins, ``(n_tiles,)``.
        share: ``(n_bins, n_subnets)``, summing over subnets to the tiles per bin.

    Returns:
        Subnet index per tile, ``(n_tiles,)``.
    """
    order = np.lexsort((-scores, bins))
    descending = np.tile(np.arange(share.shape[1])[::-1], share.shape[0])
    subnets = np.empty(len(scores), np.intp)
    subnets[order] = np.repeat(descending, share[:, ::-1].ravel())
    return subnets


def _proportional(weights: Counts, total: Counts) -> Counts:
    """Split ``total[bin]`` over shards in proportion to ``weights[shard, bin]``, by floors of running totals."""
    running = np.vstack([np.zeros_like(total), np.cumsum(weights, axis=0)])
    whole = np.maximum(running[-1], 1)
    if int(whole.max()) * int(total.max()) >= 2**63:
        # Beyond 64 bits (some 3 * 10**9 tiles in a bin): Python's integers, slower but exact.
        running = running.astype(object)
    shares: Counts = np.diff(running * total // whole, axis=0).astype(np.int64)
    return shares


def _steps_by_price(histogram: Counts, value: NDArray[np.float64], costs: Counts) -> list[Step]:
    steps = [step for b in np.flatnonzero(histogram) for step in _hull(int(b), value[b], costs)]
    # The sort is stable, so the steps of one bin stay in order where their prices are equal.
    return sorted(steps, key=lambda step: -step.price)


def _hull(bin_index: int, value: NDArray[np.float64], costs: Counts) -> list[Step]:
    """The steps along the upper concave hull of one bin, prices never rising, down to price 0."""
    hull = [0]
    for candidate in range(1, len(costs)):
        while len(hull) > 1 and _price(hull[-1], candidate, value, costs) > _price(
            hull[-2], hull[-1], value, costs
        ):
            hull.pop()
        hull.append(candidate)
    steps: list[Step] = []
    for source, target in itertools.pairwise(hull):
        price = _price(source, target, value, costs)
        if price < 0:
            break
        steps.append(Step(bin_index, source, target, int(costs[target] - costs[source]), price))
    return steps


def _price(source: int, target: int, value: NDArray[np.float64], costs: Counts) -> float:
    return float((value[target] - value[source]) / (costs[target] - costs[source]))
