"""Several jobs on one pool."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.allocation.knapsack import Allocation, allocate
from arm_batch.core.allocation.objective import solve
from arm_batch.core.quota.pricing import Job, solve_image_jobs, solve_jobs
from arm_batch.errors import BudgetError
from tests.core.tables import COSTS, census_of, log_error, table


@st.composite
def pools(draw: st.DrawFn, most: int = 30) -> tuple[dict[str, Job], int]:
    """Jobs of one ladder, and a pool that at least meets their floors."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    value = -table(5, draw(st.integers(0, 99))).mse
    jobs = {
        f"job-{i}": Job(
            histogram=rng.integers(0, most, (1, 5)),
            value=value,
            weights=np.ones(1),
            costs=COSTS,
            fixed=int(rng.integers(0, 50)),
        )
        for i in range(draw(st.integers(1, 6)))
    }
    floor = sum(job.floor for job in jobs.values())
    top = floor + sum(int(job.histogram.sum()) * int(COSTS[-1] - COSTS[0]) for job in jobs.values())
    return jobs, draw(st.integers(floor, top))


def value_of(jobs: dict[str, Job], allocations: dict[str, Allocation]) -> float:
    return sum(float((allocations[name].tiles * jobs[name].value).sum()) for name in jobs)


@given(pools())
def test_the_pool_is_never_overdrawn_and_nothing_that_fits_is_left(case: tuple[dict[str, Job], int]) -> None:
    jobs, pool = case
    allocations = solve_jobs(jobs, pool)
    spent = sum(a.spend for a in allocations.values()) + sum(job.fixed for job in jobs.values())
    assert spent <= pool
    left = pool - spent
    for name, job in jobs.items():
        tiles = allocations[name].tiles
        np.testing.assert_array_equal(tiles.sum(axis=2), job.histogram)
        assert allocations[name].spend == int((tiles * COSTS).sum())
        # A step from the costliest subnet but one would always be worth it: errors fall with cost.
        open_steps = [COSTS[-1] - cost for cost, count in zip(COSTS, tiles.sum((0, 1)), strict=True) if count]
        assert left < max(open_steps) or left == 0 or max(open_steps) == 0


@given(pools())
def test_together_they_do_as_well_as_one_job_over_all_images(case: tuple[dict[str, Job], int]) -> None:
    jobs, pool = case
    allocations = solve_jobs(jobs, pool)
    fixed = sum(job.fixed for job in jobs.values())
    histogram = np.sum([job.histogram for job in jobs.values()], axis=0)
    first = next(iter(jobs.values()))
    one = allocate(histogram, first.value, np.ones(1), COSTS, pool - fixed)
    whole = float((one.tiles * first.value).sum())
    # The same steps in the same order; only where the last bit of the pool goes may differ.
    largest = float((first.value[:, -1] - first.value[:, 0]).max())
    assert value_of(jobs, allocations) == pytest.approx(whole, abs=len(COSTS) * largest)


def test_twenty_jobs_lose_less_than_a_thousandth_of_the_value() -> None:
    rng = np.random.default_rng(0)
    value = -table(30).mse
    jobs = {
        f"{i:02}": Job(histogram=rng.integers(0, 2000, (1, 30)), value=value, weights=np.ones(1), costs=COSTS)
        for i in range(20)
    }
    histogram = np.sum([job.histogram for job in jobs.values()], axis=0)
    pool = int(histogram.sum()) * 30
    one = allocate(histogram, value, np.ones(1), COSTS, pool)
    start = float((histogram[0, :, None] * value[:, :1]).sum())
    gained = value_of(jobs, solve_jobs(jobs, pool)) - start
    assert gained >= 0.999 * (float((one.tiles * value).sum()) - start)


@given(pools(), st.randoms())
def test_the_order_of_arrival_does_not_matter(case: tuple[dict[str, Job], int], random: Random) -> None:
    jobs, pool = case
    names = list(jobs)
    random.shuffle(names)
    first, second = solve_jobs(jobs, pool), solve_jobs({name: jobs[name] for name in names}, pool)
    for name in jobs:
        np.testing.assert_array_equal(first[name].tiles, second[name].tiles)


@given(pools(), st.floats(0, 1), st.data())
def test_repricing_keeps_what_is_begun_and_the_pool_when_jobs_come_and_go(
    case: tuple[dict[str, Job], int], share: float, data: st.DataObject
) -> None:
    jobs, pool = case
    allocations = solve_jobs(jobs, pool)
    # Part of each job begins at the first price; then a job leaves and another comes.
    later = {}
    for name, job in jobs.items():
        begun = (allocations[name].tiles * share).astype(np.int64)
        spent = int((begun * COSTS).sum())
        later[name] = replace(job, histogram=job.histogram - begun.sum(axis=2), fixed=job.fixed + spent)
    gone = data.draw(st.sampled_from(sorted(jobs)))
    later[gone] = replace(later[gone], histogram=np.zeros_like(later[gone].histogram))
    floor = sum(job.floor for job in later.values())
    again = solve_jobs(later, max(pool, floor))
    assert sum(a.spend for a in again.values()) + sum(job.fixed for job in later.values()) <= pool
    assert again[gone].spend == 0


def test_prices_meet_across_jobs() -> None:
    value = np.array([[0.0, 10.0], [0.0, 1.0]])
    costs = np.array([1, 2])
    rich = Job(histogram=np.array([[2, 0]]), value=value, weights=np.ones(1), costs=costs)
    poor = Job(histogram=np.array([[0, 5]]), value=value, weights=np.ones(1), costs=costs)
    both = solve_jobs({"rich": rich, "poor": poor}, 10)
    assert both["rich"].tiles.tolist() == [[[0, 2], [0, 0]]]
    assert both["poor"].tiles.tolist() == [[[0, 0], [4, 1]]]
    assert (both["rich"].marginal_value, both["poor"].marginal_value) == (10, 1)


def test_a_pool_below_the_floors_is_refused() -> None:
    job = Job(
        histogram=np.array([[3]]),
        value=np.array([[0.0, 1.0]]),
        weights=np.ones(1),
        costs=np.array([2, 5]),
        fixed=4,
    )
    with pytest.raises(BudgetError, match="pool of 19 FLOPs is less than the 20"):
        solve_jobs({"a": job, "b": job}, 19)
    assert sum(a.spend for a in solve_jobs({"a": job, "b": job}, 20).values()) == 12
    assert solve_jobs({}, 5) == {}


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_twenty_jobs_serve_images_as_well_as_one_job_does(share: float) -> None:
    rng = np.random.default_rng(1)
    lut = table(30)
    archives = [
        [rng.integers(0, rng.integers(1, 30), rng.integers(10, 300)) for _ in range(40)] for _ in range(20)
    ]
    censuses = [census_of("image-psnr", lut, images) for images in archives]
    whole = censuses[0]
    for histogram in censuses[1:]:
        whole = whole + histogram
    pool = int(whole.tiles.sum() * (1 + share * 99))
    jobs = {
        f"{i:02}": (
            lut,
            histogram,
            Job(histogram=histogram.tiles, value=-lut.mse, weights=np.zeros(len(histogram.images)), costs=COSTS),
        )
        for i, histogram in enumerate(censuses)
    }
    allocations = solve_image_jobs(jobs, pool)
    assert sum(a.spend for a in allocations.values()) <= pool
    together = np.sum([a.tiles for a in allocations.values()], axis=0)
    one = solve("image-psnr", lut, whole, COSTS, pool)
    start = solve("image-psnr", lut, whole, COSTS, int(whole.tiles.sum()))
    gains = [log_error(whole, lut, start.tiles) - log_error(whole, lut, tiles) for tiles in (together, one.tiles)]
    assert gains[0] >= 0.999 * gains[1]
