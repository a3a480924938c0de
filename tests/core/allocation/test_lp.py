"""Allocation over pools, against bounds and against the fractional optimum."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from arm_batch.core.allocation.knapsack import allocate
from arm_batch.core.allocation.lp import Pool, allocate_devices
from arm_batch.errors import BudgetError
from tests.core.tables import COSTS, table


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, list[Pool]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_bins = draw(st.integers(1, 6))
    histogram = rng.integers(0, draw(st.sampled_from([5, 500, 10**7])), n_bins)
    pools = [
        Pool(kind=kind, devices=int(rng.integers(1, 9)), seconds=np.cumsum(rng.uniform(0.001, 0.1, 4)) / speed)
        for kind, speed in itertools.islice((("cpu", 1), ("gpu", 20)), draw(st.integers(1, 2)))
    ]
    return histogram, -table(n_bins, draw(st.integers(0, 99))).mse, pools


def least_wall(histogram: np.ndarray, pools: list[Pool]) -> float:
    """Seconds of interpolation everywhere, spread at will."""
    return float(histogram.sum() / sum(pool.devices / pool.seconds[0] for pool in pools))


@given(problems(), st.floats(1.05, 100), st.floats(1.1, 90))
def test_every_bound_is_kept_by_whole_tiles(
    problem: tuple[np.ndarray, np.ndarray, list[Pool]], wall_factor: float, flops_factor: float
) -> None:
    histogram, value, pools = problem
    wall = wall_factor * least_wall(histogram, pools) + 10 * max(float(p.seconds[0]) for p in pools)
    flops = int(flops_factor * histogram.sum()) + 10
    try:
        result = allocate_devices(histogram, value, COSTS, pools, flops, wall)
    except BudgetError:
        assume(False)
    assert (result.tiles >= 0).all()
    np.testing.assert_array_equal(result.tiles.sum(axis=(1, 2)), histogram)
    assert result.flops == int((result.tiles.sum(axis=2) * COSTS).sum()) <= flops
    for place, pool in enumerate(pools):
        busy = float(result.tiles[..., place].sum(axis=0) @ pool.seconds)
        assert busy == pytest.approx(result.busy_seconds[place])
        assert busy <= wall * pool.devices * (1 + 1e-12)
    assert result.wall_seconds <= wall * (1 + 1e-12)


@given(problems(), st.floats(0.05, 0.95))
def test_with_flops_alone_it_is_the_allocation(
    problem: tuple[np.ndarray, np.ndarray, list[Pool]], share: float
) -> None:
    histogram, value, pools = problem
    assume(histogram.sum() > 2000)
    floor, top = (int(histogram.sum()) * int(cost) for cost in (COSTS[0], COSTS[-1]))
    budget = floor + int(share * (top - floor))
    pooled = allocate_devices(histogram, value, COSTS, pools, budget).tiles.sum(axis=2)
    exact = allocate(histogram[None], value, np.ones(1), COSTS, budget).tiles[0]
    start = float((histogram * value[:, 0]).sum())
    gained, best = (float((tiles * value).sum()) - start for tiles in (pooled, exact))
    assert gained >= best * (1 - 1e-3) - 50 * float((value[:, -1] - value[:, 0]).max())


def test_a_device_bound_makes_gpus_do_what_they_are_best_at() -> None:
    # The GPU is no faster at bin 0's only useful subnet and ten times at bin 1's.
    value = np.array([[0.0, 5.0, 5.0], [0.0, 0.0, 9.0]])
    cpu = Pool(kind="cpu", devices=4, seconds=np.array([0.001, 0.1, 1.0]))
    gpu = Pool(kind="gpu", devices=1, seconds=np.array([0.001, 0.1, 0.05]), most_seconds=50.0)
    result = allocate_devices(np.array([400, 900]), value, np.array([1, 2, 3]), [cpu, gpu], wall_seconds=60)
    assert result.tiles[1, 2, 1] > 850
    assert result.tiles[0, 1:].sum() > 390
    assert result.busy_seconds[1] <= 50


def test_more_time_is_worth_more_until_all_is_bought() -> None:
    value = -table(5).mse
    histogram = np.full(5, 1000)
    pools = [Pool(kind="cpu", devices=2, seconds=np.array([0.001, 0.04, 0.07, 0.1]))]
    values = [
        float((allocate_devices(histogram, value, COSTS, pools, wall_seconds=w).tiles.sum(axis=2) * value).sum())
        for w in (5, 10, 50, 100, 300, 1000)
    ]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(float((histogram * value[:, -1]).sum()))


@pytest.mark.parametrize("bound", [{"wall_seconds": 2.0}, {"flops": 4999}, {"wall_seconds": 0.0}])
def test_less_than_interpolation_is_refused(bound: dict[str, Any]) -> None:
    pools = [Pool(kind="cpu", devices=2, seconds=np.array([0.001, 0.04, 0.07, 0.1]))]
    with pytest.raises(BudgetError, match="less than interpolation"):
        allocate_devices(np.full(5, 1000), -table(5).mse, COSTS, pools, **bound)


def test_an_empty_archive_needs_nothing() -> None:
    pools = [Pool(kind="cpu", devices=1, seconds=np.ones(4))]
    result = allocate_devices(np.zeros(3, np.int64), -table(3).mse, COSTS, pools, flops=0)
    assert (result.tiles.sum(), result.flops, result.wall_seconds) == (0, 0, 0)
