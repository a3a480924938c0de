"""The two-ended queue, simulated against the linear program's bound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makespans import Devices, least_makespan, simulate_dispatch

from arm_batch.core.allocation.dispatch import dispatch_order


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[int], Devices, Devices]:
    """Made-up speeds: CPUs slow down by up to 30 from subnet to subnet, GPUs are 1 to 100 times as fast."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_subnets = draw(st.integers(1, 6))
    cpu = np.sort(rng.uniform(0.1, 3, n_subnets))
    gpu = cpu / rng.uniform(1, 100, n_subnets)
    batches = [int(n) for n in rng.integers(0, 3000, n_subnets)]
    return batches, Devices(draw(st.integers(0, 64)), cpu), Devices(draw(st.integers(1, 8)), gpu)


@given(clusters())
@settings(max_examples=200)
def test_both_ends_meet_within_five_percent_of_the_bound(cluster: tuple[list[int], Devices, Devices]) -> None:
    batches, cpus, gpus = cluster
    bound = least_makespan(batches, cpus, gpus)
    wall = simulate_dispatch(batches, cpus, gpus)
    # Batches cannot be divided: the last one of each kind of device may stick out whole.
    longest = max(float(d.seconds.max()) for d in (cpus, gpus) if d.count)
    assert bound - 1e-6 <= wall <= bound * 1.0001 + longest
    if bound >= 20 * longest:
        assert wall <= 1.05 * bound


@given(clusters())
@settings(max_examples=30)
def test_the_simulation_is_deterministic(cluster: tuple[list[int], Devices, Devices]) -> None:
    assert simulate_dispatch(*cluster) == simulate_dispatch(*cluster)


def test_taking_the_costliest_first_would_be_worse() -> None:
    # The GPU wins most on the cheap subnet; ordered by cost alone it would take the wrong end.
    cpus, gpus = Devices(4, np.array([1.0, 2.0])), Devices(1, np.array([0.02, 1.0]))
    assert dispatch_order(cpus.seconds, gpus.seconds) == [1, 0]
    wall = simulate_dispatch([1000, 200], cpus, gpus)
    assert wall <= 1.05 * least_makespan([1000, 200], cpus, gpus)
    assert wall < 200


def test_without_gpus_cpus_share_the_work() -> None:
    cpus, gpus = Devices(3, np.array([1.0, 5.0])), Devices(0, np.array([1.0, 1.0]))
    assert simulate_dispatch([3, 3], cpus, gpus) == 6
    assert least_makespan([3, 3], cpus, gpus) == pytest.approx(6)
    assert simulate_dispatch([0, 0], cpus, gpus) == 0
