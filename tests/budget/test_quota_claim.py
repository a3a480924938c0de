"""Budgets that draw from one pool while drivers die, overtake each other, come and go.

Whatever happens, a shard has one share, the same for every driver; and together nothing is overspent.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from arm_batch.budget.archive_budget import ArchiveBudget
from arm_batch.budget.quota import SharedQuota
from arm_batch.budget.quota_claim import QuotaClaim, claim_id
from arm_batch.budget.quota_journal import QuotaJournal
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.allocation.histogram import ShardHistogram, gather
from arm_batch.core.allocation.waves import Waves
from arm_batch.core.quota.grants import Demand
from arm_batch.errors import BudgetError
from arm_batch.models.ladder_files import load_ladder
from arm_batch.runstate.commit import Commit, committed, create_commit
from arm_batch.runstate.generation import Generation
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.storage.open import open_store
from tests.archives import LADDER
from tests.core.tables import census_of

LADDER_ = load_ladder(LADDER).ladder
SHARDS = 16
AT_ONCE = 8
"""Shards: so that a job has waves of 1, 1, 2, 4, 4 and 4."""

WAVES = Waves.gradual(SHARDS, AT_ONCE)


def parts_of(seed: int) -> list[ShardHistogram]:
    rng = np.random.default_rng(seed)
    lut = LADDER_.lut
    top = rng.integers(lut.n_bins // 3, lut.n_bins, SHARDS)
    return [
        ShardHistogram.of(census_of("image-psnr", lut, [rng.integers(0, top[n], rng.integers(5, 40))]))
        for n in range(SHARDS)
    ]


PARTS = {job: parts_of(seed) for seed, job in enumerate("ab")}
OTHER = Demand(lut=LADDER_.lut, costs=LADDER_.costs, portions=(PARTS["a"][0], PARTS["b"][0]))
TILES = sum(int(part.tiles.sum()) for parts in PARTS.values() for part in parts)


REFUSALS = ("is spent", "less than the")
"""What a job is told that comes, or comes back, when there is too little left."""


class KilledError(Exception):
    """A driver's end."""


class Port(SharedQuota):
    """The pool as one driver sees it; something may happen right before or after it lets a wave begin."""

    before: Callable[[], object] | None = None
    after: Callable[[], object] | None = None

    def begin(self, job: str, portion: int, flops: int, revision: int, grant: int) -> bool:
        """See `SharedQuota.begin`."""
        happens, self.before = self.before, None
        if happens is not None:
            happens()
        begun = super().begin(job, portion, flops, revision, grant)
        happens, self.after = self.after, None
        if happens is not None:
            happens()
        return begun


class Drivers(RuleBasedStateMachine):
    """Two jobs with two drivers each, and other jobs that come and go."""

    @initialize(share=st.floats(0.05, 1.1))
    def create(self, share: float) -> None:
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name)
        self.store = open_store(str(root / "pool"))
        QuotaJournal(self.store).create("p", int(share * TILES * int(LADDER_.costs[-1])))
        self.pool = SharedQuota(self.store)
        self.outputs = {job: open_store(str(root / job)) for job in PARTS}
        self.generations = {
            job: Generation(0, "initial", job, {}, "try", "listing", SHARDS, SHARDS, None) for job in PARTS
        }
        self.drivers = {(job, number): self.driver(job) for job in PARTS for number in range(2)}
        self.shares: dict[tuple[str, int], list[list[int]]] = {}
        self.others: list[str] = []
        self.came = 0

    def teardown(self) -> None:
        if not hasattr(self, "drivers"):
            return
        self.pool.add("so-that-all-can-come-back", TILES * int(LADDER_.costs[-1]))
        for job, generation in self.generations.items():
            for shard in range(SHARDS):
                self.run(job, 0, shard)
            commits = committed(self.outputs[job])
            for wave in range(len(WAVES)):
                flops = sum(commits[ShardId(0, shard)].flops for shard in WAVES.members(wave))
                self.pool.settle(claim_id(generation), wave, flops)
            self.pool.leave(claim_id(generation))
            assert len(commits) == SHARDS
        self.never_overspends()
        self.folder.cleanup()

    def driver(self, job: str) -> tuple[ArchiveBudget, Port]:
        port, generation = Port(self.store), self.generations[job]
        claim = QuotaClaim(port, generation)
        budget = parse_budget("pool:somewhere")
        return ArchiveBudget(LADDER_, "image-psnr", budget, self.outputs[job], generation, claim), port

    def run(self, job: str, number: int, shard: int) -> bool:
        """Begin a shard and commit it, as far as that goes."""
        budget, _ = self.drivers[job, number]
        try:
            budget.allocate(PARTS[job], AT_ONCE)
            share = budget.begin(shard)
        except BudgetError as error:
            if not any(words in str(error) for words in REFUSALS):
                raise
            return False
        except KilledError:
            self.drivers[job, number] = self.driver(job)
            return False
        if share is None:
            return False
        assert self.shares.setdefault((job, shard), share.tiles.tolist()) == share.tiles.tolist()
        cost = int(share.per_subnet @ LADDER_.costs)
        # One shard in five has an image that fails.
        flops = cost // 2 if shard % 5 == 3 else cost
        create_commit(self.outputs[job], Commit(ShardId(0, shard), "try", None, None, flops, (), None))
        budget.settle(shard, flops)
        return True

    def next_shard(self, job: str, ahead: int) -> int:
        done = {shard.index for shard in committed(self.outputs[job])}
        left = [shard for shard in range(SHARDS) if shard not in done]
        return left[min(ahead, len(left) - 1)] if left else SHARDS - 1

    @rule(
        job=st.sampled_from("ab"),
        number=st.integers(0, 1),
        shards=st.integers(1, 9),
        event=st.sampled_from(["none", "killed before", "killed after", "overtaken", "joined", "left alone"]),
    )
    def go_on(self, job: str, number: int, shards: int, event: str) -> None:
        def die() -> None:
            raise KilledError

        _, port = self.drivers[job, number]
        happens = {
            "killed before": die,
            "overtaken": lambda: [self.run(job, 1 - number, self.next_shard(job, 0)) for _ in range(shards)],
            "joined": self.other_comes,
            "left alone": self.other_goes,
        }
        port.before = happens.get(event)
        port.after = die if event == "killed after" else None
        for _ in range(shards):
            if not self.run(job, number, self.next_shard(job, 0)):
                break
        for _, each in self.drivers.values():
            each.before = each.after = None

    @rule(job=st.sampled_from("ab"), number=st.integers(0, 1))
    def start_anew(self, job: str, number: int) -> None:
        self.drivers[job, number] = self.driver(job)

    @rule(job=st.sampled_from("ab"))
    def let_go(self, job: str) -> None:
        name = claim_id(self.generations[job])
        if name in self.pool.state().jobs:
            self.pool.leave(name)

    @rule()
    def other_comes(self) -> None:
        self.came += 1
        with contextlib.suppress(BudgetError):
            self.pool.register(f"other-{self.came}", "image-psnr", OTHER)
            self.others.append(f"other-{self.came}")

    @rule()
    def other_goes(self) -> None:
        if self.others:
            self.pool.leave(self.others.pop())

    @rule(share=st.floats(0.01, 0.3))
    def add(self, share: float) -> None:
        self.pool.add(f"{len(self.pool.state().added)}", 1 + int(share * TILES * int(LADDER_.costs[-1])))

    @invariant()
    def never_overspends(self) -> None:
        if not hasattr(self, "drivers"):
            return
        state = self.pool.state()
        assert state.granted <= state.total
        for job, output in self.outputs.items():
            spent = sum(commit.flops for commit in committed(output).values())
            assert not spent or spent <= state.jobs[claim_id(self.generations[job])].fixed


TestDrivers = Drivers.TestCase
# What fails here takes minutes to make smaller.
PHASES = [phase for phase in Phase if phase != Phase.shrink]
TestDrivers.settings = settings(max_examples=10, stateful_step_count=15, phases=PHASES)


GENERATION = Generation(0, "initial", "a", {}, "try", "listing", SHARDS, SHARDS, None)


def budget_on(pool: SharedQuota, output: Path) -> ArchiveBudget:
    claim, store = QuotaClaim(pool, GENERATION), open_store(str(output))
    return ArchiveBudget(LADDER_, "image-psnr", parse_budget("pool:somewhere"), store, GENERATION, claim)


def test_waves_are_those_that_the_job_first_came_with(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "pool"))
    QuotaJournal(store).create("p", TILES * int(LADDER_.costs[-1]))
    # One that dies before its allocation is written down, and goes on on a smaller cluster.
    QuotaClaim(SharedQuota(store), GENERATION).register(LADDER_, "image-psnr", PARTS["a"], AT_ONCE)
    assert budget_on(SharedQuota(store), tmp_path / "a").allocate(PARTS["a"], 1).waves == WAVES


NEWER = {"sizes", "format", "checksum"}
"""Of a demand: what those of the first version lack."""


def test_a_job_that_came_before_waves_were_told_has_those_of_its_time(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "pool"))
    QuotaJournal(store).create("p", TILES * int(LADDER_.costs[-1]))
    waves = Waves.even(SHARDS)
    each = [[PARTS["a"][shard] for shard in waves.members(wave)] for wave in range(len(waves))]
    portions = tuple(ShardHistogram.of(gather(parts, "image-psnr", LADDER_.lut)) for parts in each)
    pool = SharedQuota(store)
    pool.register(
        claim_id(GENERATION), "image-psnr", Demand(lut=LADDER_.lut, costs=LADDER_.costs, portions=portions)
    )
    for key in [info.key for info in store.list("demands/")]:
        with np.load(io.BytesIO(store.read(key)), allow_pickle=False) as tables:
            kept = {name: tables[name] for name in tables.files if name not in NEWER}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **kept)
        store.write(key, buffer.getvalue())
    budget = budget_on(SharedQuota(store), tmp_path / "a")
    assert budget.allocate(PARTS["a"], AT_ONCE).waves == waves
    assert [budget.begin(shard) is not None for shard in (0, 4, 8)] == [True, True, False]
