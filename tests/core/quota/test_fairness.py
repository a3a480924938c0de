"""Jobs that come to a pool one after the other, on a clock that counts shards: what each of them gets."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.allocation.apportion import apportion
from arm_batch.core.allocation.curve import Planner
from arm_batch.core.allocation.histogram import ShardHistogram, gather
from arm_batch.core.allocation.knapsack import steps_by_price
from arm_batch.core.allocation.waves import Waves
from arm_batch.core.quota.events import Begin, Event, Price, Register, Settle
from arm_batch.core.quota.grants import Demand, check_room, price_grants
from arm_batch.core.quota.state import QuotaState, follow
from arm_batch.errors import BudgetError
from tests.core.tables import COSTS, census_of, table

LUT = table(6)
JOBS = 6
SHARDS = 16
SHARE = 0.3
"""Of what all jobs would cost at the largest subnet."""


def shards_of(job: int) -> list[ShardHistogram]:
    rng = np.random.default_rng(job)
    return [ShardHistogram.of(census_of("mse", LUT, [rng.integers(0, 6, 40)])) for _ in range(SHARDS)]


@dataclass
class Pool:
    """A pool and its jobs, each of which runs one shard at a time.

    Attributes:
        state: of the pool; events that would overspend it are refused there.
        demands: by job.
        waves: by job.
        done: shards by job.
    """

    state: QuotaState
    demands: dict[str, Demand] = field(default_factory=dict)
    waves: dict[str, Waves] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)

    def come(self, job: str, parts: list[ShardHistogram], waves: Waves) -> None:
        """Register a job; `BudgetError` where too little is left for it."""
        portions = [[parts[shard] for shard in waves.members(wave)] for wave in range(len(waves))]
        histogram = tuple(ShardHistogram.of(gather(each, "mse", LUT)) for each in portions)
        event = Register(job, "mse", f"demands/{job}", len(waves))
        demands = self.demands | {job: Demand(lut=LUT, costs=COSTS, portions=histogram)}
        check_room(follow(self.state, [event]), "mse", demands, job)
        self.demands, self.waves[job], self.done[job] = demands, waves, 0
        self.note(event)
        self.note(Price(price_grants(self.state, "mse", self.demands)))

    def note(self, event: Event) -> None:
        self.state = follow(self.state, [event])
        assert self.state.fixed <= self.state.granted <= self.state.total

    def run_a_shard(self, job: str) -> None:
        """Begin the wave of the next shard, unless it has begun; and do the shard."""
        waves = self.waves[job]
        wave, claim = waves.of(self.done[job]), self.state.jobs[job]
        if claim.begun(wave) is None:
            self.note(Begin(job, wave, self.cost(job, wave), 0))
        self.done[job] += 1
        if self.done[job] == waves.start(wave + 1):
            self.note(Settle(job, wave, self.state.jobs[job].reserved[wave]))

    def cost(self, job: str, wave: int) -> int:
        """Of a wave, by the allocation of what the grant leaves to it and all later ones."""
        claim, rest = self.state.jobs[job], self.demands[job].portions[wave:]
        planner = Planner(objective="mse", lut=LUT, histogram=gather(rest, "mse", LUT), costs=COSTS, tile_px=64)
        tiles = planner.solve(claim.grant - claim.fixed).tiles.reshape(-1, len(COSTS))
        cells, counts = (np.concatenate([getattr(part, name) for part in rest]) for name in ("cells", "tiles"))
        return int((apportion(tiles, cells, counts)[: len(rest[0].cells)] * COSTS).sum())

    def marginal_value(self, job: str) -> float:
        """Value per FLOP of the last step that what a job has not begun gets."""
        claim, demand = self.state.jobs[job], self.demands[job]
        rest = [part for wave, part in enumerate(demand.portions) if claim.begun(wave) is None]
        planner = Planner(objective="mse", lut=LUT, histogram=gather(rest, "mse", LUT), costs=COSTS, tile_px=64)
        return planner.solve(claim.grant - claim.fixed).marginal_value

    def shares(self) -> list[float]:
        """FLOPs of each job, as a share of its largest subnet everywhere."""
        full = {
            job: sum(part.tiles.sum() for part in demand.portions) * COSTS[-1]
            for job, demand in self.demands.items()
        }
        return [self.state.jobs[job].fixed / float(full[job]) for job in sorted(self.demands)]


PARTS = {f"job-{job}": shards_of(job) for job in range(JOBS)}
TOTAL = int(SHARE * sum(int(part.tiles.sum()) for parts in PARTS.values() for part in parts) * int(COSTS[-1]))


def run_all(waves: Waves, arrivals: list[int]) -> Pool:
    """Each job comes after so many turns, and in a turn all that are there run a shard."""
    pool = Pool(QuotaState("p", TOTAL))
    for turn in range(max(arrivals) + SHARDS):
        for (job, parts), arrival in zip(PARTS.items(), arrivals, strict=True):
            if arrival == turn:
                with suppress(BudgetError):
                    pool.come(job, parts, waves)
            if pool.done.get(job, SHARDS) < SHARDS:
                pool.run_a_shard(job)
    assert set(pool.done.values()) == {SHARDS}
    return pool


def ideal() -> list[float]:
    """The shares where all come before any begins: one price for everything."""
    pool = Pool(QuotaState("p", TOTAL))
    for job, parts in PARTS.items():
        pool.come(job, parts, Waves.gradual(SHARDS))
    for job in PARTS:
        for _ in range(SHARDS):
            pool.run_a_shard(job)
    return pool.shares()


IDEAL = ideal()


def test_what_has_not_begun_when_all_are_there_has_one_price() -> None:
    pool = Pool(QuotaState("p", TOTAL))
    for job, parts in PARTS.items():
        pool.come(job, parts, Waves.gradual(SHARDS))
        pool.run_a_shard(job)
    marginal_values = [pool.marginal_value(job) for job in PARTS]
    steps = steps_by_price(np.ones((1, LUT.n_bins), np.int64), -LUT.mse, np.ones(1), COSTS)
    # The last step that is bought at all is bought for some tiles: by some jobs, and those have one step less.
    assert (
        len(
            {
                marginal_value
                for _, _, marginal_value in steps
                if min(marginal_values) <= marginal_value <= max(marginal_values)
            }
        )
        <= 2
    )


@pytest.mark.parametrize("at_once", [1, 4])
def test_jobs_of_which_only_the_first_wave_has_begun_get_their_fair_share(at_once: int) -> None:
    shares = run_all(Waves.gradual(SHARDS, at_once), [0] * JOBS).shares()
    print([round(share, 3) for share in shares])
    # The first shard of the first job was upscaled as if it were to stay alone.
    assert shares == pytest.approx(IDEAL, abs=(1 - SHARE) / SHARDS)


def test_jobs_that_come_a_shard_apart_get_four_fifths_of_their_fair_share() -> None:
    shares = run_all(Waves.gradual(SHARDS), list(range(JOBS))).shares()
    print([round(share, 3) for share in shares])
    assert all(0.8 * fair <= share <= 1.4 * fair for share, fair in zip(shares, IDEAL, strict=True))


@given(
    arrivals=st.lists(st.integers(0, 2 * SHARDS), min_size=JOBS, max_size=JOBS),
    waves=st.one_of(st.builds(Waves.gradual, st.just(SHARDS), st.integers(1, 20)), st.just(Waves.even(SHARDS))),
)
def test_whenever_they_come_nothing_is_overspent_and_nobody_starves(arrivals: list[int], waves: Waves) -> None:
    # That no event overspends is asserted at each.
    pool = run_all(waves, arrivals)
    assert all(share >= COSTS[0] / COSTS[-1] for share in pool.shares())
    if max(arrivals) == min(arrivals):
        assert len(pool.demands) == JOBS
