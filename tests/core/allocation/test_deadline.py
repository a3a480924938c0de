"""Time budgets: against bounds, against every division of a small archive, and what they refuse."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.allocation.deadline import ClusterProfile, Deadline, solve_timed, wall_budget
from arm_batch.core.allocation.histogram import Histogram
from arm_batch.core.allocation.knapsack import spend_of
from arm_batch.core.allocation.lp import Pool
from arm_batch.core.allocation.measures import OBJECTIVES, Objective
from arm_batch.core.allocation.objective import class_errors, solve
from arm_batch.core.prediction.lut import Lut
from arm_batch.errors import BudgetError
from tests.core.tables import COSTS, archives, census_of, log_error, table

CPU_SECONDS = np.array([0.0, 0.02, 0.05, 0.1])


def cluster_profile(
    cpus: int = 2, gpus: int = 0, cores: int | None = None, host_overhead: float = 0.0
) -> ClusterProfile:
    pools = [Pool(kind="cpu", devices=cpus, seconds=CPU_SECONDS)]
    if gpus:
        pools.append(Pool(kind="gpu", devices=gpus, seconds=CPU_SECONDS / np.array([1, 4, 10, 20])))
    return ClusterProfile(tuple(pools), cores or cpus, host_overhead)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Lut, list[np.ndarray], ClusterProfile, Objective]:
    lut, images = draw(archives())
    cpus = draw(st.integers(1, 8))
    made = cluster_profile(cpus, draw(st.integers(0, 3)), cpus + draw(st.integers(0, 4)), draw(st.floats(0, 50)))
    return lut, images, made, draw(st.sampled_from(OBJECTIVES))


@given(problems(), st.floats(0.01, 3), st.floats(0, 50))
@settings(max_examples=60)
def test_every_pool_ends_in_time_and_every_tile_is_served(
    problem: tuple[Lut, list[np.ndarray], ClusterProfile, Objective], ease: float, passed: float
) -> None:
    lut, images, made, objective = problem
    histogram = census_of(objective, lut, images)
    host_overhead = made.host_seconds * float(histogram.pixels.sum()) / 1e6
    need = host_overhead / made.cores
    wall = passed + need + ease * float(histogram.tiles.sum()) * 0.1 / made.cores + 1e-3
    found = solve_timed(objective, lut, histogram, COSTS, parse_budget(f"{wall}s"), Deadline(made, passed))
    np.testing.assert_array_equal(found.tiles.sum(axis=2), histogram.tiles)
    assert found.allocation.spend == spend_of(found.tiles, COSTS)
    forecast = found.forecast
    assert forecast.expected_seconds <= wall * (1 + 1e-9) + 1e-9
    assert forecast.expected_seconds >= passed + need - 1e-9
    # Every tile beyond interpolation runs somewhere, once.
    ran = np.sum([pool.tiles for pool in forecast.pools], axis=0)
    assert ran[1:].tolist() == found.tiles.sum(axis=(0, 1))[1:].tolist()
    for pool in forecast.pools:
        busy = float(np.array(pool.tiles) @ np.array(pool.seconds))
        assert busy <= (wall - passed) * pool.devices * (1 + 1e-9)
        if pool.kind == "cpu":
            assert busy + host_overhead <= (wall - passed) * made.cores * (1 + 1e-9)


@given(st.integers(0, 500), st.floats(0.0, 1.0), st.sampled_from(["psnr", "mse"]))
@settings(max_examples=60)
def test_it_is_near_the_best_of_all_choices(seed: int, share: float, objective: Objective) -> None:
    # One device of each kind, one choice for all tiles of a bin on each: every such plan is tried.
    lut = table(3, seed)
    counts = np.array([20, 30, 10])
    histogram = census_of(objective, lut, [np.repeat(np.arange(3), counts)])
    made = cluster_profile(1, 1)
    wall = 0.05 + share * 0.1 * 60
    found = solve_timed(objective, lut, histogram, COSTS, parse_budget(f"{wall}s"), Deadline(made, 0.0))
    value = lut.psnr_db if objective == "psnr" else -lut.mse
    places = list(itertools.product(range(4), range(2)))
    best = -np.inf
    for choice in itertools.product(places, repeat=3):
        busy = np.zeros(2)
        for count, (subnet, pool) in zip(counts, choice, strict=True):
            busy[pool] += count * made.pools[pool].seconds[subnet]
        if (busy <= wall).all():
            best = max(
                best, sum(n * value[b, s] for b, (n, (s, _)) in enumerate(zip(counts, choice, strict=True)))
            )
    got = float((found.tiles[0] * value).sum())
    # A tile or two that no longer fit whole.
    assert got >= best - 3 * float((value[:, -1] - value[:, 0]).max())


@given(archives(), st.floats(0.05, 0.95))
@settings(max_examples=40)
def test_where_time_is_flops_it_does_what_flops_do(archive: tuple[Lut, list[np.ndarray]], share: float) -> None:
    lut, images = archive
    histogram = census_of("image-psnr", lut, images)
    count = int(histogram.tiles.sum())
    assume(count > 50)
    # A second for each FLOP beyond interpolation's.
    made = ClusterProfile((Pool(kind="cpu", devices=1, seconds=(COSTS - COSTS[0]).astype(float)),), 1, 0.0)
    spare = int(share * count * (COSTS[-1] - COSTS[0]))
    timed = solve_timed(
        "image-psnr", lut, histogram, COSTS, parse_budget(f"{max(spare, 1)}s"), Deadline(made, 0.0)
    )
    exact = solve("image-psnr", lut, histogram, COSTS, count * int(COSTS[0]) + spare)
    assert timed.allocation.spend <= count * int(COSTS[0]) + max(spare, 1)
    start = class_errors(lut, np.eye(4, dtype=np.int64)[0] * histogram.tiles[..., None])
    if (start > 0).all():
        return
    assert log_error(histogram, lut, timed.tiles) <= log_error(histogram, lut, exact.tiles) + 0.05


def test_a_cap_on_flops_holds_beside_the_time() -> None:
    lut = table(4)
    histogram = census_of("mse", lut, [np.arange(4).repeat(100)])
    found = solve_timed(
        "mse", lut, histogram, COSTS, parse_budget("1h"), Deadline(cluster_profile(), 0.0), flops=12_345
    )
    assert 12_000 < found.allocation.spend <= 12_345


def test_what_is_beside_the_nets_takes_their_time_on_shared_cores_only() -> None:
    lut = table(4)
    histogram = replace(census_of("mse", lut, [np.arange(4).repeat(100)]), pixels=np.array([10**6]))
    spends = [
        solve_timed(
            "mse",
            lut,
            histogram,
            COSTS,
            parse_budget("10s"),
            Deadline(cluster_profile(1, 0, cores, host_overhead), 0.0),
        ).allocation.spend
        for cores, host_overhead in ((1, 0.0), (1, 5.0), (2, 5.0), (2, 15.0))
    ]
    assert spends[1] < spends[0] == spends[2]
    assert spends[3] == pytest.approx(spends[1], rel=0.02)


@pytest.mark.parametrize(
    ("text", "held", "wall"),
    [("90min", {"cpu": 4}, 5400), ("2gpu-hours", {"cpu": 4, "gpu": 2}, 3600), ("1cpu-hour", {"cpu": 4}, 900)],
)
def test_device_hours_are_wall_time_of_all_devices(text: str, held: dict[str, int], wall: int) -> None:
    assert wall_budget(parse_budget(text), held) == wall


@pytest.mark.parametrize(
    ("text", "passed", "told"),
    [("60s", 61.0, "61.0 s have passed"), ("60s", 57.0, "take about 5.0 s"), ("3gpu-hours", 0.0, "needs a GPU")],
)
def test_what_no_plan_meets_is_said_in_one_line(text: str, passed: float, told: str) -> None:
    lut = table(2)
    histogram = replace(census_of("mse", lut, [np.array([0, 1])]), pixels=np.array([10**6]))
    with pytest.raises(BudgetError, match=told) as raised:
        solve_timed(
            "mse",
            lut,
            histogram,
            COSTS,
            parse_budget(text),
            Deadline(cluster_profile(2, host_overhead=10.0), passed),
        )
    assert "\n" not in str(raised.value)


def test_an_archive_without_images_takes_what_has_passed() -> None:
    lut = table(2)
    found = solve_timed(
        "image-psnr",
        lut,
        Histogram.empty("image-psnr", lut),
        COSTS,
        parse_budget("10s"),
        Deadline(cluster_profile(), 3.0),
    )
    assert (found.allocation.spend, found.forecast.expected_seconds) == (0, 3.0)
