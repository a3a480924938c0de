"""The pool's brain on its journal: nothing is overspent or counts twice, and whoever reads it knows the same."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import cast

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from arm_batch.budget import quota_journal
from arm_batch.budget.quota import SharedQuota
from arm_batch.budget.quota_journal import QuotaJournal
from arm_batch.core.allocation.histogram import ShardHistogram
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.quota.claim import Claim
from arm_batch.core.quota.events import Event, Price
from arm_batch.core.quota.grants import Demand, price_grants
from arm_batch.core.quota.state import QuotaState, follow
from arm_batch.errors import BudgetError, StoreError
from arm_batch.storage.base import ObjectInfo, ObjectStore
from arm_batch.storage.open import open_store
from tests.core.tables import COSTS, census_of, table

PORTIONS = 3
LUT = table(6)


def demand_of(seed: int, objective: Objective = "image-psnr", images: int = 3, ladder: int = 0) -> Demand:
    rng = np.random.default_rng(seed)
    lut = table(6, ladder)
    portions = tuple(
        ShardHistogram.of(
            census_of(objective, lut, [rng.integers(0, 6, rng.integers(1, 30)) for _ in range(images)])
        )
        for _ in range(PORTIONS)
    )
    return Demand(lut=lut, costs=COSTS, portions=portions)


def tiles_of(demand: Demand) -> int:
    return sum(int(part.tiles.sum()) for part in demand.portions)


def make(folder: Path, flops: int) -> SharedQuota:
    store = open_store(str(folder))
    QuotaJournal(store).create("p", flops)
    return SharedQuota(store)


DEMANDS = {f"job-{seed}": demand_of(seed, ladder=seed % 2) for seed in range(4)}
FLOOR = sum(tiles_of(demand) for demand in DEMANDS.values())

jobs = st.sampled_from(sorted(DEMANDS))
portions = st.integers(0, PORTIONS - 1)


class PoolMachine(RuleBasedStateMachine):
    """Two that serve one pool, either may be replaced by one that reads the journal; and a model of spends."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.spends: dict[tuple[str, int], int] = {}
        self.answers: dict[tuple[str, int, int], bool] = {}

    def teardown(self) -> None:
        self.folder.cleanup()

    @initialize(share=st.floats(0.3, 60))
    def create(self, share: float) -> None:
        self.total = int(share * FLOOR)
        first = make(Path(self.folder.name), self.total)
        self.pools = [first, SharedQuota(open_store(self.folder.name))]
        self.adds = 0

    def twice(self, place: int, call: str, *arguments: object) -> object:
        """A call, and the same again, from the other one too: the repeats write nothing."""
        before = self.pools[place].state()
        try:
            result = getattr(self.pools[place], call)(*arguments)
        except BudgetError:
            assert self.pools[place].state() == before
            return None
        after = self.pools[place].state()
        for pool in self.pools:
            assert getattr(pool, call)(*arguments) == result
            assert pool.state() == after
        return result

    @rule(place=st.integers(0, 1), job=jobs)
    def register(self, place: int, job: str) -> None:
        self.twice(place, "register", job, "image-psnr", DEMANDS[job])

    @rule(
        place=st.integers(0, 1),
        job=jobs,
        portion=portions,
        share=st.floats(0, 1.2),
        revision=st.integers(0, 3),
        stale=st.booleans(),
    )
    def begin(self, place: int, job: str, portion: int, share: float, revision: int, stale: bool) -> None:
        state = self.pools[place].state()
        claim = state.jobs.get(job, Claim("", 0, grant=1000))
        flops = int(share * (claim.grant - claim.fixed))
        begun = self.twice(place, "begin", job, portion, flops, revision, claim.grant + stale)
        if begun is None:
            return
        assert self.answers.setdefault((job, portion, revision), bool(begun)) == begun
        if begun:
            self.spends.setdefault((job, portion), flops)

    @rule(place=st.integers(0, 1), job=jobs, portion=portions, share=st.floats(0, 1))
    def settle(self, place: int, job: str, portion: int, share: float) -> None:
        state = self.pools[place].state()
        reserved = state.jobs[job].reserved.get(portion, 1) if job in state.jobs else 1
        flops = int(share * reserved)
        was = state.jobs[job].settled.get(portion) if job in state.jobs else None
        self.twice(place, "settle", job, portion, flops)
        if was is None and portion in getattr(self.pools[place].state().jobs.get(job), "settled", {}):
            self.spends[job, portion] = flops

    @rule(place=st.integers(0, 1), job=jobs)
    def leave(self, place: int, job: str) -> None:
        self.twice(place, "leave", job)

    @rule(place=st.integers(0, 1), job=jobs)
    def come_back(self, place: int, job: str) -> None:
        if self.twice(place, "grant", job) is not None:
            assert self.pools[place].state().jobs[job].active

    @rule(place=st.integers(0, 1))
    def price_anew(self, place: int) -> None:
        state = self.pools[place].state()
        active = {job: DEMANDS[job] for job, claim in state.jobs.items() if claim.active}
        if state.objective is not None:
            # With every job that is there enough is left for interpolation, so that it always works.
            grants = price_grants(state, state.objective, active)
            assert set(grants) == set(active)
            follow(state, [Price(grants)])

    @rule(place=st.integers(0, 1), flops=st.integers(-1, 2 * FLOOR))
    def add(self, place: int, flops: int) -> None:
        self.adds += 1
        if self.twice(place, "add", f"token-{self.adds}", flops) is not None:
            self.total += flops

    @rule(place=st.integers(0, 1))
    def replace(self, place: int) -> None:
        state = self.pools[place].state()
        self.pools[place] = SharedQuota(open_store(self.folder.name))
        assert self.pools[place].state() == state

    @invariant()
    def never_overspends(self) -> None:
        if not hasattr(self, "pools"):
            return
        state = self.pools[0].state()
        assert state == self.pools[1].state()
        assert state.total == self.total
        assert state.granted <= state.total
        assert sum(self.spends.values()) == state.fixed <= state.granted


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=25, stateful_step_count=25)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots every few records, so that they matter in tests."""
    monkeypatch.setattr(quota_journal, "SNAPSHOT_EVERY", 5)


def test_all_that_register_before_they_begin_get_what_one_price_gives_them(tmp_path: Path) -> None:
    pool = make(tmp_path, 30 * FLOOR)
    for job, demand in DEMANDS.items():
        pool.register(job, "image-psnr", demand)
    grants = {job: claim.grant for job, claim in pool.state().jobs.items()}
    assert sum(grants.values()) <= 30 * FLOOR
    assert sum(grants.values()) > 30 * FLOOR - COSTS[-1]
    assert all(pool.grant(job) == grant for job, grant in grants.items())
    other = make(tmp_path / "other", 30 * FLOOR)
    for job, demand in reversed(DEMANDS.items()):
        other.register(job, "image-psnr", demand)
    assert {job: other.grant(job) for job in DEMANDS} == grants


def test_one_that_comes_later_gets_of_what_has_not_begun(tmp_path: Path) -> None:
    first, second = demand_of(1), demand_of(2)
    pool = make(tmp_path, 60 * tiles_of(first))
    alone = pool.register("first", "image-psnr", first)
    begun = alone // 3
    assert pool.begin("first", 0, begun, 0, alone)
    pool.register("second", "image-psnr", second)
    lowered = pool.grant("first")
    assert begun < lowered < alone
    rest = lowered - begun - int(first.portions[2].tiles.sum())
    assert not pool.begin("first", 1, rest, 0, alone)
    # No other attempt that is slow begins it any more with what was refused.
    assert not pool.begin("first", 1, rest, 0, lowered)
    assert pool.begin("first", 1, rest, 1, lowered)
    assert pool.begin("first", 1, 1, 1, alone)
    assert pool.state().jobs["first"].reserved == {0: begun, 1: rest}


def test_a_grant_that_was_raised_is_allocated_before_anything_begins(tmp_path: Path) -> None:
    first, second = demand_of(1), demand_of(2)
    pool = make(tmp_path, 20 * (tiles_of(first) + tiles_of(second)))
    pool.register("second", "image-psnr", second)
    grant = pool.register("first", "image-psnr", first)
    pool.leave("second")
    assert pool.grant("first") > grant
    assert not pool.begin("first", 0, grant // 3, 0, grant)


def test_one_that_was_let_go_comes_back_and_gets_of_what_is_left(tmp_path: Path) -> None:
    first, second = demand_of(1), demand_of(2)
    pool = make(tmp_path, 60 * (tiles_of(first) + tiles_of(second)))
    alone = pool.register("first", "image-psnr", first)
    pool.begin("first", 0, alone // 3, 0, alone)
    pool.leave("first")
    with_all = pool.register("second", "image-psnr", second)
    assert not pool.begin("first", 1, 1, 0, alone)
    back = pool.grant("first")
    assert alone // 3 < back < alone
    assert pool.grant("second") < with_all
    assert pool.begin("first", 1, (back - alone // 3) // 2, 1, back)
    pool.leave("first")
    pool.close()
    with pytest.raises(BudgetError, match="is closed"):
        pool.grant("first")


def test_what_a_portion_has_spent_is_said_once(tmp_path: Path) -> None:
    demand = demand_of(1)
    pool = make(tmp_path, 60 * tiles_of(demand))
    grant = pool.register("a", "image-psnr", demand)
    pool.begin("a", 0, 20 * tiles_of(demand), 0, grant)
    assert [pool.settle("a", 0, flops) for flops in (7, 9)] == [7, 7]


def test_what_failures_give_back_and_who_leaves_reach_the_others(tmp_path: Path) -> None:
    first, second = demand_of(1), demand_of(2)
    pool = make(tmp_path, 30 * (tiles_of(first) + tiles_of(second)))
    pool.register("first", "image-psnr", first)
    pool.register("second", "image-psnr", second)
    before = pool.grant("second")
    for portion in range(PORTIONS):
        assert pool.begin("first", portion, tiles_of(first) * 5, 0, pool.grant("first"))
        pool.settle("first", portion, tiles_of(first))
    pool.leave("first")
    state = pool.state()
    assert state.jobs["first"].grant == state.jobs["first"].spent == PORTIONS * tiles_of(first)
    assert before < pool.grant("second") <= state.total - state.jobs["first"].spent


def test_what_a_job_leaves_unsettled_counts_as_spent(tmp_path: Path) -> None:
    demand = demand_of(1)
    pool = make(tmp_path, 60 * tiles_of(demand))
    grant = pool.register("a", "image-psnr", demand)
    pool.begin("a", 0, 20 * tiles_of(demand), 0, grant)
    pool.leave("a")
    assert pool.state().fixed == 20 * tiles_of(demand)
    pool.settle("a", 0, 7)
    assert pool.state().granted == 7


def test_a_portion_may_not_eat_what_the_rest_needs(tmp_path: Path) -> None:
    demand = demand_of(1)
    pool = make(tmp_path, 10 * tiles_of(demand))
    grant = pool.register("a", "image-psnr", demand)
    with pytest.raises(BudgetError, match="interpolation alone needs for the rest"):
        pool.begin("a", 0, grant, 0, grant)


def refusals() -> Iterator[tuple[str, str]]:
    yield "closed", "is closed: it takes no further job"
    yield "spent", "is spent: nothing is left of its"
    yield "too little", "are left of the pool p, less than the"
    yield "objective", "make image-psnr best, this one mse"


@pytest.mark.parametrize(("case", "told"), list(refusals()))
def test_who_is_refused_leaves_no_trace(tmp_path: Path, case: str, told: str) -> None:
    demand = demand_of(1)
    need = tiles_of(demand)
    pool = make(tmp_path, 50 * need)
    pool.register("first", "image-psnr", demand)
    if case == "closed":
        pool.close()
    elif case == "spent":
        pool = make(tmp_path / "small", need)
        grant = pool.register("first", "image-psnr", demand)
        for portion, part in enumerate(demand.portions):
            pool.begin("first", portion, int(part.tiles.sum()), 0, grant)
    elif case == "too little":
        pool = make(tmp_path / "small", need + need // 2)
        pool.register("first", "image-psnr", demand)
    before, files = pool.state(), sorted(tmp_path.rglob("*"))
    with pytest.raises(BudgetError, match=told) as caught:
        pool.register("second", "mse" if case == "objective" else "image-psnr", demand)
    assert len(str(caught.value).splitlines()) == 1
    assert pool.state() == before
    assert sorted(tmp_path.rglob("*")) == files


def test_a_pool_that_is_not_there_or_there_already(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="there is no pool at"):
        SharedQuota(open_store(str(tmp_path))).state()
    pool = make(tmp_path, 5)
    with pytest.raises(BudgetError, match="there is a pool at"):
        make(tmp_path, 6)
    assert pool.state() == QuotaState("p", 5)


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    make(tmp_path, 1000).add("x", 5)
    record = max((tmp_path / "journal").iterdir())
    for damaged in (b"{", b"[]", b'{"events": [{"event": "leave", "job": "nobody"}]}', b'{"events": [{}]}'):
        record.write_bytes(damaged)
        with pytest.raises(StoreError, match=record.name):
            SharedQuota(open_store(str(tmp_path))).state()


def test_who_was_too_slow_decides_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer comes between the look and the record, each time at first."""
    demand = demand_of(1)
    pool = make(tmp_path, 40 * tiles_of(demand))
    other = SharedQuota(open_store(str(tmp_path)))
    original = QuotaJournal.append
    meddling = iter([lambda: other.add("between", 1), lambda: other.register("a", "image-psnr", demand)])

    def append(journal: QuotaJournal, events: Sequence[Event]) -> bool:
        next(meddling, lambda: None)()
        return original(journal, events)

    monkeypatch.setattr(QuotaJournal, "append", append)
    # Another attempt at the same job registers it in the end: what that one wrote down counts.
    grant = pool.register("a", "image-psnr", demand)
    assert pool.state() == other.state()
    assert (pool.state().total, pool.grant("a")) == (40 * tiles_of(demand) + 1, grant)
    assert [f"demands/{path.name}" for path in (tmp_path / "demands").iterdir()] == [pool.state().jobs["a"].demand]


def test_jobs_of_many_processes_contend_for_the_journal(tmp_path: Path) -> None:
    """Each with a pool object of its own, as processes have: no record gets lost, and nothing is overspent."""
    demands = {f"job-{seed}": demand_of(seed) for seed in range(6)}
    total = 20 * sum(tiles_of(demand) for demand in demands.values())
    store = open_store(str(tmp_path))
    QuotaJournal(store).create("p", total)
    start = Barrier(len(demands))

    def run(job: str) -> int:
        pool, demand = SharedQuota(store), demands[job]
        pool.register(job, "image-psnr", demand)
        start.wait()
        spent = 0
        for portion in range(PORTIONS):
            left = demand.portions[portion + 1 :]
            for revision in itertools.count():
                grant = pool.grant(job)
                rest = sum(int(part.tiles.sum()) for part in left)
                flops = (grant - spent - rest) // (len(left) + 1)
                if pool.begin(job, portion, flops, revision, grant):
                    break
            pool.settle(job, portion, flops)
            spent += flops
        pool.leave(job)
        return spent

    with ThreadPoolExecutor(len(demands)) as threads:
        spent = sum(threads.map(run, demands))
    state = SharedQuota(store).state()
    assert spent == state.spent == state.granted <= total
    assert spent > 0.9 * total
    records = sorted(path.name for path in (tmp_path / "journal").iterdir())
    # Beside these there is one for each time that a portion was refused.
    assert len(records) > len(demands) * (2 + 2 * PORTIONS)
    assert records == [f"{number:012d}.json" for number in range(len(records))]


def test_opening_reads_few_records(tmp_path: Path) -> None:
    pool = make(tmp_path, 5)
    for number in range(23):
        pool.add(str(number), 1)
    store = CountingStore(str(tmp_path))
    assert SharedQuota(cast(ObjectStore, store)).state() == pool.state()
    assert len(store.reads) <= 5 + 2


class CountingStore:
    """A local store that notes what is read."""

    def __init__(self, root: str) -> None:
        self.inner = open_store(root)
        self.url = self.inner.url
        self.reads: list[str] = []

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return self.inner.list(prefix)

    def read(self, key: str) -> bytes:
        self.reads.append(key)
        return self.inner.read(key)
