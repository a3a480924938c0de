"""Runs on a clock of their own that goes as the test says: late or early, they end when they were asked to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from arm_batch.budget.archive_budget import ArchiveBudget
from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.allocation.deadline import ClusterProfile, Deadline
from arm_batch.core.allocation.histogram import ShardHistogram
from arm_batch.core.allocation.lp import Pool
from arm_batch.models.ladder_files import load_ladder
from arm_batch.runstate.allocation import read_revisions
from arm_batch.runstate.commit import Commit, create_commit
from arm_batch.runstate.generation import Generation
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.storage.open import open_store
from tests.archives import LADDER
from tests.core.tables import census_of

LADDER_ = load_ladder(LADDER).ladder
SHARDS = 48
CLUSTER = ClusterProfile((Pool(kind="cpu", devices=1, seconds=np.array([0.0, 0.05, 0.1, 0.2])),), 1, 0.0)
GENERATION = Generation(0, "initial", "run", {}, "try", "listing", SHARDS, SHARDS, None)


def parts() -> list[ShardHistogram]:
    rng = np.random.default_rng(0)
    lut = LADDER_.lut
    images = [rng.integers(0, lut.n_bins, 40) for _ in range(SHARDS)]
    return [ShardHistogram.of(census_of("image-psnr", lut, [bins])) for bins in images]


PARTS = parts()
FULL_S = SHARDS * 40 * 0.2
"""Of the largest subnet everywhere."""


class Clock:
    """Wall seconds."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def make(output: Path, clock: Clock, seconds: float) -> ArchiveBudget:
    budget, store = parse_budget(f"{seconds}s"), open_store(str(output))
    return ArchiveBudget(LADDER_, "image-psnr", budget, store, GENERATION, now=clock)


def run(
    budget: ArchiveBudget, clock: Clock, output: Path, slower: Callable[[int], float]
) -> list[ShardAllocation]:
    """One shard after the other, each so many times as slow as it was measured."""
    shares = []
    for shard in range(SHARDS):
        share = budget.begin(shard)
        assert share is not None
        clock.seconds += slower(shard) * float(share.per_subnet @ CLUSTER.pools[0].seconds)
        flops = int(share.per_subnet @ LADDER_.costs)
        create_commit(open_store(str(output)), Commit(ShardId(0, shard), "try", None, None, flops, (), None))
        budget.settle(shard, flops)
        shares.append(share)
    return shares


@pytest.mark.parametrize(
    ("slower", "least_off"),
    [
        pytest.param(lambda _: 1.0, 0.0, id="as measured"),
        pytest.param(lambda _: 1.4, 0.25, id="slower"),
        pytest.param(lambda _: 0.7, 0.2, id="faster"),
        pytest.param(lambda shard: 1.0 if shard < 24 else 1.8, 0.25, id="slower from the middle on"),
    ],
)
def test_it_ends_in_time(tmp_path: Path, slower: Callable[[int], float], least_off: float) -> None:
    clock, wall = Clock(), FULL_S / 2
    budget = make(tmp_path, clock, wall)
    allocation_record = budget.allocate(PARTS, deadline=Deadline(CLUSTER, 0.1 * wall))
    began = clock.seconds - 0.1 * wall
    busy = [float(share.per_subnet @ CLUSTER.pools[0].seconds) for share in first_shares(budget)]
    uncorrected = 0.1 * wall + sum(seconds * slower(shard) for shard, seconds in enumerate(busy))
    assert abs(uncorrected / wall - 1) >= least_off
    run(budget, clock, tmp_path, slower)
    assert clock.seconds - began == pytest.approx(wall, rel=0.05)
    revisions = read_revisions(open_store(str(tmp_path)), GENERATION)
    assert budget.state.ledger.spent == revisions[-1].total
    # What was decided by the clock is written down for each wave, also where nothing was to be changed.
    assert [revision.reason for revision in revisions] == ["plan", *(f"wave {wave}" for wave in range(2, 12))]
    assert all(revision.allocation.spend <= revision.total for revision in revisions)
    if not least_off:
        assert budget.state.ledger.spent == allocation_record.total


def first_shares(budget: ArchiveBudget) -> list[ShardAllocation]:
    return [budget.state.shares[shard] for shard in range(SHARDS)]


def test_another_driver_and_a_resume_follow_what_is_written(tmp_path: Path) -> None:
    clock = Clock()
    budget = make(tmp_path, clock, FULL_S / 2)
    budget.allocate(PARTS, deadline=Deadline(CLUSTER, 0.0))
    other = make(tmp_path, clock, FULL_S / 2)
    assert other.recorded() is not None
    shares = run(budget, clock, tmp_path, lambda _: 1.5)
    # It has opened no wave yet: it reads what was decided, and decides nothing by a clock it does not know.
    for late in (other, make(tmp_path, Clock(), FULL_S / 2)):
        assert late.done() == set(range(SHARDS))
        assert [late.begin(shard).tiles.tolist() for shard in range(SHARDS)] == [  # type: ignore[union-attr]
            share.tiles.tolist() for share in shares
        ]


def test_who_opens_a_wave_first_decides_it_for_all(tmp_path: Path) -> None:
    clock = Clock()
    budget = make(tmp_path, clock, FULL_S / 2)
    budget.allocate(PARTS, deadline=Deadline(CLUSTER, 0.0))
    other = make(tmp_path, clock, FULL_S / 2)
    for shard in range(8):
        share = other.begin(shard)
        assert share is not None
        flops = int(share.per_subnet @ LADDER_.costs)
        create_commit(open_store(str(tmp_path)), Commit(ShardId(0, shard), "try", None, None, flops, (), None))
        other.settle(shard, flops)
    first = other.begin(8)
    # The clock says that it is late by now, but the wave is open.
    clock.seconds += FULL_S / 4
    assert first is not None
    assert [budget.begin(shard) is not None for shard in range(8)] == [True] * 8
    assert budget.begin(8).tiles.tolist() == first.tiles.tolist()  # type: ignore[union-attr]


def test_when_the_time_is_over_the_rest_is_interpolated(tmp_path: Path) -> None:
    clock, wall = Clock(), FULL_S / 2
    budget = make(tmp_path, clock, wall)
    budget.allocate(PARTS, deadline=Deadline(replace(CLUSTER, host_seconds=1e-3), 0.0))
    shares = run(budget, clock, tmp_path, lambda shard: 20.0 if shard < 4 else 1.0)
    assert all(share.per_subnet[1:].sum() == 0 for share in shares[8:])
