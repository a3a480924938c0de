"""What time a run is found to have left, from how it has gone so far."""

from __future__ import annotations

import numpy as np
import pytest

from arm_batch.core.allocation.deadline import ClusterProfile
from arm_batch.core.allocation.lp import Pool
from arm_batch.core.allocation.replan import Progress, Work, all_seconds, correct

CLUSTER = ClusterProfile((Pool(kind="cpu", devices=2, seconds=np.array([0.0, 1.0, 4.0])),), 2, host_seconds=10.0)


def work(small: float, large: float, megapixels: float) -> Work:
    return Work(np.array([0.0, small, large]), 1e6 * megapixels)


TENTH = work(4, 2, 0.8)
"""Takes ten seconds: twenty core seconds on two cores."""


def progress(passed: float, busy: float, done: int, under_way: int = 1) -> Progress:
    return Progress(
        passed_seconds=passed,
        busy_seconds=busy,
        done=TENTH * done,
        under_way=TENTH * under_way,
        rest=TENTH * (10 - done - under_way),
    )


def test_one_kind_of_devices_takes_what_it_was_measured_to_take() -> None:
    assert all_seconds(CLUSTER, TENTH) == pytest.approx(10)
    assert all_seconds(CLUSTER, work(0, 0, 0)) == 0
    two = ClusterProfile(
        (*CLUSTER.pools, Pool(kind="gpu", devices=1, seconds=np.array([0.0, 1.0, 1.0]))), 2, host_seconds=0.0
    )
    # Side by side: six seconds on the CPUs, six on the GPU.
    assert all_seconds(two, work(4, 2, 0)) == pytest.approx(3)


@pytest.mark.parametrize(("wall", "unit"), [(110, 1), (111, 1), (109, 1), (210, 2)])
def test_a_run_on_time_is_left_alone(wall: float, unit: float) -> None:
    # Planning took ten seconds, three tenths took what they should.
    assert correct(CLUSTER, wall, unit, progress(10 + 30 * unit, 30 * unit, 3)) is None


@pytest.mark.parametrize(("busy", "slower"), [(60, 70 / 40), (15, 25 / 40)])
def test_one_that_is_late_or_early_goes_by_its_own_speed(busy: float, slower: float) -> None:
    found = correct(CLUSTER, 110, 1, progress(10 + busy, busy, 3))
    assert found is not None
    assert found.passed_seconds == pytest.approx(10 + busy + slower * 10)
    assert found.cluster_profile.pools[0].seconds == pytest.approx(slower * CLUSTER.pools[0].seconds)
    assert found.cluster_profile.host_seconds == pytest.approx(slower * 10)
    assert (found.cluster_profile.cores, found.cluster_profile.pools[0].devices) == (2, 2)


def test_before_anything_is_done_the_forecast_holds() -> None:
    assert correct(CLUSTER, 110, 1, progress(10, 0, 0)) is None
    late = correct(CLUSTER, 110, 1, progress(30, 0, 0))
    assert late is not None
    assert late.passed_seconds == pytest.approx(40)


def test_a_run_without_work_is_not_divided_by() -> None:
    nothing = work(0, 0, 0)
    early = correct(
        CLUSTER, 100, 1, Progress(passed_seconds=1, busy_seconds=0, done=nothing, under_way=nothing, rest=nothing)
    )
    assert early is not None
    assert early.passed_seconds == 1
