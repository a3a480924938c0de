"""The allocation against brute force."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arm_batch.core.allocation.knapsack import Allocation, allocate, spend_of
from arm_batch.errors import BudgetError
from tests.memory import peak_of_memory


@dataclass(frozen=True)
class Problem:
    """A small instance. Values and weights are whole numbers, so that sums and ties are exact."""

    counts: np.ndarray
    bin_value: np.ndarray
    weights: np.ndarray
    costs: np.ndarray
    budget: int

    @property
    def histogram(self) -> np.ndarray:
        return self.counts.ravel()

    @property
    def value(self) -> np.ndarray:
        return np.reshape(self.weights[:, None, None] * self.bin_value, (-1, len(self.costs)))

    def solve(self) -> Allocation:
        result = allocate(self.counts, self.bin_value, self.weights, self.costs, self.budget)
        return replace(result, tiles=result.tiles.reshape(-1, len(self.costs)))

    def spend_of(self, tiles: np.ndarray) -> int:
        return int((tiles * self.costs).sum())

    def value_of(self, tiles: np.ndarray) -> float:
        return float((tiles * self.value).sum())

    def next_step(self, bin_index: int, source: int) -> int | None:
        """Where a tile goes next: the nearest of the subnets with the best value per FLOP, if it does not lose."""
        targets = range(source + 1, len(self.costs))
        marginal_values = [self.marginal_value(bin_index, source, t) for t in targets]
        if not marginal_values or max(marginal_values) < 0:
            return None
        return targets[marginal_values.index(max(marginal_values))]

    def marginal_value(self, bin_index: int, source: int, target: int) -> float:
        gain = self.value[bin_index, target] - self.value[bin_index, source]
        return float(gain / (self.costs[target] - self.costs[source]))


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    n_classes, n_bins = draw(st.sampled_from([(1, 1), (1, 3), (2, 1), (2, 2)]))
    n_subnets = draw(st.integers(1, 4))
    cells = n_classes * n_bins
    histogram = draw(st.lists(st.integers(0, 3), min_size=cells, max_size=cells))
    weights = draw(st.lists(st.integers(1, 4), min_size=n_classes, max_size=n_classes))
    steps = draw(st.lists(st.integers(1, 6), min_size=n_subnets, max_size=n_subnets))
    row = st.lists(st.integers(-3, 12), min_size=n_subnets, max_size=n_subnets)
    value = draw(st.lists(row, min_size=n_bins, max_size=n_bins))
    costs = np.cumsum(steps)
    floor, top = sum(histogram) * int(costs[0]), sum(histogram) * int(costs[-1])
    budget = draw(st.integers(floor, top + 2))
    counts = np.array(histogram).reshape(n_classes, n_bins)
    return Problem(counts, np.array(value, np.float64), np.array(weights, np.float64), costs, budget)


def rows_of(count: int, n_subnets: int) -> list[tuple[int, ...]]:
    """Every way to divide `count` tiles among subnets."""
    return [r for r in itertools.product(range(count + 1), repeat=n_subnets) if sum(r) == count]


def best_value(problem: Problem, budget: int) -> float:
    """The optimum by trying everything: per bin all divisions, merged into a frontier of spend and value."""
    frontier = {0: 0.0}
    for count, value in zip(problem.histogram, problem.value, strict=True):
        merged: dict[int, float] = {}
        for row in rows_of(int(count), len(problem.costs)):
            cost, gain = int(np.dot(row, problem.costs)), float(np.dot(row, value))
            for spent, so_far in frontier.items():
                if spent + cost <= budget:
                    merged[spent + cost] = max(merged.get(spent + cost, -np.inf), so_far + gain)
        frontier = merged
    return max(frontier.values())


def unit_steps(problem: Problem) -> list[tuple[float, int]]:
    """All upgrades of single tiles as (price, cost), best first."""
    steps = []
    for b, count in enumerate(problem.histogram):
        source, target = 0, problem.next_step(b, 0)
        while target is not None:
            cost = int(problem.costs[target] - problem.costs[source])
            steps += [(problem.marginal_value(b, source, target), cost)] * int(count)
            source, target = target, problem.next_step(b, target)
    return sorted(steps, key=lambda s: -s[0])


def relaxation(problem: Problem) -> tuple[int, float, float]:
    """(spend, value) up to the first step that does not fit, and the bound with a fraction of that step."""
    start = np.zeros(problem.value.shape, np.int64)
    start[:, 0] = problem.histogram
    spend, value = problem.spend_of(start), problem.value_of(start)
    for marginal_value, cost in unit_steps(problem):
        if spend + cost > problem.budget:
            return spend, value, value + marginal_value * (problem.budget - spend)
        spend, value = spend + cost, value + marginal_value * cost
    return spend, value, value


@given(problems())
def test_the_budget_is_kept_and_every_tile_gets_one_subnet(problem: Problem) -> None:
    result = problem.solve()
    assert (result.tiles >= 0).all()
    assert result.tiles.sum(axis=1).tolist() == problem.histogram.tolist()
    assert result.spend == problem.spend_of(result.tiles) <= problem.budget


@given(problems())
@settings(max_examples=300)
def test_no_open_step_fits_into_what_is_left(problem: Problem) -> None:
    result = problem.solve()
    left = problem.budget - result.spend
    for b, source in zip(*np.nonzero(result.tiles), strict=True):
        target = problem.next_step(int(b), int(source))
        assert target is None or problem.costs[target] - problem.costs[source] > left


@given(problems())
def test_no_tile_pays_for_less_value_than_a_cheaper_subnet_has(problem: Problem) -> None:
    result = problem.solve()
    for b, subnet in zip(*np.nonzero(result.tiles), strict=True):
        assert problem.value[b, subnet] == problem.value[b, : subnet + 1].max()


@given(problems())
@settings(max_examples=500)
def test_the_value_is_optimal_up_to_one_step(problem: Problem) -> None:
    result = problem.solve()
    spend, value, bound = relaxation(problem)
    got = problem.value_of(result.tiles)
    # What is bought before the first misfit is the best that this spend can buy; the bound holds for all.
    assert got >= value - 1e-9
    assert value >= best_value(problem, spend) - 1e-9
    assert bound >= best_value(problem, problem.budget) - 1e-9


def test_worked_example() -> None:
    value = np.array([[0.0, 1.0, 1.0], [0.0, 9.0, 12.0]])
    result = Problem(np.array([[3, 2]]), value, np.ones(1), np.array([1, 3, 5]), 15).solve()
    # 5 for the floor; two tiles to 9 (price 4.5), both on to 12 (1.5), then one to 1 (0.5) fits.
    assert result.tiles.tolist() == [[2, 1, 0], [0, 0, 2]]
    assert (result.spend, result.marginal_value) == (15, 0.5)


def test_steps_may_leave_out_several_subnets_below_the_hull() -> None:
    value = np.array([[0.0, 3.0, 4.0, 12.0]])
    result = Problem(np.array([[2]]), value, np.ones(1), np.array([1, 2, 3, 4]), 5).solve()
    assert result.tiles.tolist() == [[1, 0, 0, 1]]
    assert result.marginal_value == 4


def test_steps_that_change_nothing_are_bought_last_and_losing_ones_never() -> None:
    value = np.array([[5.0, 5.0, 4.0]])
    result = Problem(np.array([[4]]), value, np.ones(1), np.array([1, 2, 3]), 1000).solve()
    assert result.tiles.tolist() == [[0, 4, 0]]
    assert result.marginal_value == 0


@given(problems())
def test_below_the_floor_is_an_error(problem: Problem) -> None:
    floor = int(problem.histogram.sum() * problem.costs[0])
    with pytest.raises(BudgetError, match="interpolation alone needs"):
        replace(problem, budget=floor - 1).solve()


def test_nothing_to_do_costs_nothing() -> None:
    result = Problem(np.array([[0, 0]]), np.zeros((2, 2)), np.ones(1), np.array([1, 2]), 0).solve()
    assert (result.spend, result.marginal_value, result.tiles.sum()) == (0, 0.0, 0)


def test_a_class_that_counts_for_more_is_served_first() -> None:
    value = np.array([[0.0, 1.0]])
    result = allocate(np.array([[2], [2]]), value, np.array([1.0, 3.0]), np.array([1, 2]), 7)
    assert result.tiles.tolist() == [[[1, 1]], [[0, 2]]]
    assert (result.spend, result.marginal_value) == (7, 1.0)


def test_a_thousand_million_tiles_take_no_more_memory_than_their_histogram_does() -> None:
    rng = np.random.default_rng(0)
    histogram = rng.integers(0, 10**6, (144, 120))
    histogram[0, 0] += 10**9
    costs = np.array([491_520, 21_823_488, 35_831_808, 1_462_035_744])
    value = np.sort(rng.random((120, 4)), axis=1)
    floor, top = int(histogram.sum()) * int(costs[0]), int(histogram.sum()) * int(costs[-1])
    budget = floor + (top - floor) // 5
    with peak_of_memory() as peak:
        result = allocate(histogram, value, rng.random(144), costs, budget)
    # A byte for each tile would be a thousand times as much.
    assert peak() < 64 * 2**20
    np.testing.assert_array_equal(result.tiles.sum(axis=2), histogram)
    exact = sum(int(n) * int(c) for row in result.tiles.reshape(-1, 4) for n, c in zip(row, costs, strict=True))
    # Less than the dearest single upgrade is left over.
    assert exact == result.spend == spend_of(result.tiles, costs)
    assert 0 <= budget - result.spend < costs[-1]
