from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from arm_batch.budget.archive_budget import LOOK_EVERY_S, ArchiveBudget
from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.allocation.histogram import N_CLASSES, Histogram, ShardHistogram
from arm_batch.core.allocation.waves import Waves
from arm_batch.errors import BudgetError, StoreError
from arm_batch.models.ladder_files import load_ladder
from arm_batch.runstate.allocation import allocation_key, read_allocation, read_waves
from arm_batch.runstate.commit import Commit, commit_key, create_commit
from arm_batch.runstate.generation import Generation
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.open import open_store
from tests.archives import LADDER
from tests.sealed import changed, of_before
from tests.storage.counting import CountingStore

COSTS = load_ladder(LADDER).ladder.costs
N_BINS = load_ladder(LADDER).ladder.lut.n_bins


def shard_census(seed: int) -> ShardHistogram:
    rng = np.random.default_rng(seed)
    histogram = Histogram(
        rng.integers(0, 4, (N_CLASSES, N_BINS)), rng.integers(1, 3, N_CLASSES), np.full(N_CLASSES, 9999)
    )
    return ShardHistogram.of(histogram)


PARTS = [shard_census(seed) for seed in range(3)]


def generation_of(shards: int, cap_flops: int | None = None) -> Generation:
    return Generation(0, "initial", "run", {}, "try", "listing", shards, shards, cap_flops)


def make(
    output: Path | ObjectStore,
    budget: str,
    cap_flops: int | None = None,
    shards: int = 3,
    now: Callable[[], float] = lambda: 0.0,
) -> ArchiveBudget:
    ladder = load_ladder(LADDER).ladder
    store = open_store(str(output)) if isinstance(output, Path) else output
    generation = generation_of(shards, cap_flops)
    return ArchiveBudget(ladder, "image-psnr", parse_budget(budget), store, generation, now=now)


def begun(budget: ArchiveBudget, shard: int) -> ShardAllocation:
    share = budget.begin(shard)
    assert share is not None
    return share


@pytest.mark.parametrize("percent", ["5%", "37%", "99.9%", "100%"])
def test_shares_add_up_to_the_allocation(tmp_path: Path, percent: str) -> None:
    budget = make(tmp_path, percent)
    allocation_record = budget.allocate(PARTS)
    shares = [begun(budget, shard) for shard in (2, 0, 1)]
    together = np.zeros_like(allocation_record.allocation.tiles.reshape(-1, 4))
    for shard, share in zip((2, 0, 1), shares, strict=True):
        assert share.cells.tolist() == PARTS[shard].cells.tolist()
        assert share.tiles.sum(axis=1).tolist() == PARTS[shard].tiles.tolist()
        together[share.cells] += share.tiles
    assert together.tolist() == allocation_record.allocation.tiles.reshape(-1, 4).tolist()
    assert allocation_record.allocation.spend <= allocation_record.total


def test_settling_twice_counts_once_and_less_than_reserved_is_kept(tmp_path: Path) -> None:
    budget = make(tmp_path, "60%")
    budget.allocate(PARTS)
    for _ in range(2):
        budget.begin(1)
        budget.settle(1, 1000)
    assert budget.state.ledger.spent == 1000


def test_the_first_allocation_counts_whatever_is_asked_for_later(tmp_path: Path) -> None:
    allocation_record = make(tmp_path, "60%").allocate(PARTS)
    again = make(tmp_path, "30%")
    assert again.recorded() is not None
    assert again.allocate(PARTS[::-1]).allocation.tiles.tolist() == allocation_record.allocation.tiles.tolist()
    assert begun(again, 2).tiles.sum(axis=1).tolist() == PARTS[2].tiles.tolist()


def test_another_in_its_place_knows_what_was_spent(tmp_path: Path) -> None:
    first = make(tmp_path, "60%")
    first.allocate(PARTS)
    first.begin(0)
    first.begin(1)
    create_commit(open_store(str(tmp_path)), commit_of(0, 700))
    second = make(tmp_path, "60%")
    second.settle(1, 50)
    assert second.state.ledger.spent == 750


def test_a_reservation_is_given_back(tmp_path: Path) -> None:
    budget = make(tmp_path, "60%")
    budget.allocate(PARTS)
    share = begun(budget, 0)
    budget.release(0)
    assert begun(budget, 0).tiles.tolist() == share.tiles.tolist()
    assert budget.state.ledger.spent == 0


def test_a_cap_bounds_what_a_share_of_the_whole_would_allow(tmp_path: Path) -> None:
    free = make(tmp_path / "a", "60%").allocate(PARTS)
    capped = make(tmp_path / "b", "60%", cap_flops=free.total // 2).allocate(PARTS)
    assert capped.total == free.total // 2
    assert capped.allocation.spend <= capped.total


def test_nothing_begins_before_the_allocation(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no allocation"):
        make(tmp_path, "60%").begin(0)


def test_a_budget_that_no_plan_meets_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(BudgetError):
        make(tmp_path, "1FLOP").allocate(PARTS)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_allocation_is_named(tmp_path: Path) -> None:
    make(tmp_path, "60%").allocate(PARTS)
    generation = generation_of(3)
    store = open_store(str(tmp_path))
    key = allocation_key(generation)
    whole = store.read(key)
    for damaged in (whole[: len(whole) // 2], b"[]", whole.replace(b"tables-", b"tables-of-another-")):
        store.write(key, damaged)
        with pytest.raises(StoreError, match=r"(allocation\.json|tables-of-another-[\w-]+\.npz) is"):
            read_allocation(store, generation)


MANY = [shard_census(seed) for seed in range(16)]
"""Of sixteen shards, which run in four waves of four."""


def run_shards(budget: ArchiveBudget, shards: range, spend: Callable[[int, int], int]) -> list[ShardAllocation]:
    """Begin and settle shards in order; `spend` tells, from a shard and its cost, what it really spent."""
    shares = []
    costs = load_ladder(LADDER).ladder.costs
    for shard in shards:
        share = budget.begin(shard)
        assert share is not None
        shares.append(share)
        budget.settle(shard, spend(shard, int(share.per_subnet @ costs)))
    return shares


def test_a_wave_waits_for_the_one_before_the_last(tmp_path: Path) -> None:
    budget = make(tmp_path, "40%", shards=16)
    budget.allocate(MANY)
    assert [budget.begin(shard) is not None for shard in (0, 4, 7, 8, 12)] == [True, True, True, False, False]
    run_shards(budget, range(4), lambda _, cost: cost)
    assert [budget.begin(shard) is not None for shard in (8, 11, 12)] == [True, True, False]


LARGE = 3200
"""Shards; in sixteen waves of two hundred."""

SMALL = [ShardHistogram(*(np.array([number]) for number in (cell, 1, 0, 1, 9999))) for cell in range(16)]
"""Shards of one tile."""

STRAGGLER = 77
"""In the first wave."""


def commit_of(shard: int, flops: int = 0) -> Commit:
    return Commit(ShardId(0, shard), "try", None, None, flops, (), None)


def test_a_wave_that_waits_for_what_was_begun_here_asks_the_store_for_nothing() -> None:
    store, clock = CountingStore(), [0.0]
    budget = make(store, "40%", shards=LARGE, now=lambda: clock[0])
    budget.allocate(SMALL * (LARGE // len(SMALL)))
    for shard in range(400):
        assert budget.begin(shard) is not None
        if shard != STRAGGLER:
            create_commit(store, commit_of(shard))
            budget.settle(shard, 0)
    store.reads.clear()
    store.lists.clear()
    assert [budget.begin(400) for _ in range(50)] == [None] * 50
    assert (sum(store.reads.values()), sum(store.lists.values())) == (0, 0)
    # Another driver is through with it first: that is seen some time later, and what is known is not read again.
    create_commit(store, commit_of(STRAGGLER))
    assert budget.begin(400) is None
    clock[0] += LOOK_EVERY_S
    assert budget.begin(400) is not None
    assert store.lists == {"commits/g0000/": 1}
    assert store.reads[commit_key(ShardId(0, STRAGGLER))] == 1
    assert max(count for key, count in store.reads.items() if key.startswith("commits/")) == 1


def test_a_wave_that_waits_for_others_reads_no_record_twice() -> None:
    store = CountingStore()
    make(store, "40%", shards=LARGE).allocate(SMALL * (LARGE // len(SMALL)))
    store.lists.clear()
    # Another than has allocated, as after a restart; and none of the shards is begun here.
    budget = make(store, "40%", shards=LARGE)
    for shard in range(400):
        if shard != STRAGGLER:
            create_commit(store, commit_of(shard))
    assert [budget.begin(400) for _ in range(5)] == [None] * 5
    records = {key: count for key, count in store.reads.items() if key.startswith("commits/")}
    assert records == {commit_key(ShardId(0, shard)): 1 for shard in range(400) if shard != STRAGGLER}
    # When it came up, and each time that it was asked.
    assert store.lists == {"commits/g0000/": 6}
    create_commit(store, commit_of(STRAGGLER))
    assert budget.begin(400) is not None
    assert store.reads[commit_key(ShardId(0, STRAGGLER))] == 1


def test_waves_are_those_of_the_cluster_that_the_allocation_was_made_for(tmp_path: Path) -> None:
    large = make(tmp_path, "40%", shards=16)
    large.allocate(MANY, at_once=8)
    assert [large.begin(shard) is not None for shard in range(16)] == [True] * 16
    # Resumed on a small one, also where that would allocate by itself.
    again = make(tmp_path, "40%", shards=16)
    again.allocate(MANY, at_once=1)
    assert read_waves(open_store(str(tmp_path)), generation_of(16)) == Waves((8, 8))
    assert [again.begin(shard) is not None for shard in range(16)] == [True] * 16


def test_an_allocation_that_does_not_name_its_waves_has_those_of_its_time(tmp_path: Path) -> None:
    make(tmp_path, "40%", shards=16).allocate(MANY, at_once=8)
    path = tmp_path / allocation_key(generation_of(16))
    document = json.loads(of_before(path.read_bytes()))
    assert document.pop("waves") == [8, 8]
    path.write_text(json.dumps(document))
    budget = make(tmp_path, "40%", shards=16)
    assert [budget.begin(shard) is not None for shard in (0, 4, 7, 8, 12)] == [True, True, True, False, False]
    run_shards(budget, range(4), lambda _, cost: cost)
    assert [budget.begin(shard) is not None for shard in (8, 11, 12)] == [True, True, False]


@pytest.mark.parametrize("waves", [[8, 9], [16, 0], [], [20, -4], "16", 16, None, [[8], [8]]])
def test_waves_that_are_not_those_of_the_shards_are_damage(tmp_path: Path, waves: object) -> None:
    make(tmp_path, "40%", shards=16).allocate(MANY)
    path = tmp_path / allocation_key(generation_of(16))
    path.write_bytes(changed(path.read_bytes(), waves=waves))
    store = open_store(str(tmp_path))
    for read in (read_allocation, read_waves):
        with pytest.raises(StoreError, match=r"allocation\.json"):
            read(store, generation_of(16))


def test_without_failures_there_is_one_revision(tmp_path: Path) -> None:
    budget = make(tmp_path, "40%", shards=16)
    allocation_record = budget.allocate(MANY)
    run_shards(budget, range(16), lambda _, cost: cost)
    assert budget.state.ledger.spent == allocation_record.allocation.spend
    assert [p.name for p in (tmp_path / "plan" / "g0000").glob("epoch-*")] == []


@pytest.mark.parametrize("restarts", [False, True])
def test_what_failures_give_back_is_spent_two_waves_on(tmp_path: Path, restarts: bool) -> None:
    def half_of_the_first(shard: int, cost: int) -> int:
        return cost // 2 if shard < 4 else cost

    whole = make(tmp_path / "whole", "40%", shards=16)
    allocation_record = whole.allocate(MANY)
    shares = run_shards(whole, range(16), half_of_the_first)
    without = make(tmp_path / "without", "40%", shards=16)
    without.allocate(MANY)
    for shard, (got, before) in enumerate(
        zip(shares, run_shards(without, range(16), lambda _, c: c), strict=True)
    ):
        same = got.tiles.tolist() == before.tiles.tolist()
        assert same == (shard < 8)
    # All that was given back is spent, but for less than one upgrade.
    ladder = load_ladder(LADDER).ladder
    assert 0 <= allocation_record.total - whole.state.ledger.spent < np.diff(ladder.costs).max()
    assert len(list((tmp_path / "whole" / "plan" / "g0000").glob("epoch-*.json"))) == 1
    assert whole.current().allocation.tiles.sum() == allocation_record.allocation.tiles.sum()
    if restarts:
        budget = make(tmp_path / "broken", "40%", shards=16)
        budget.allocate(MANY)
        again: list[ShardAllocation] = []
        for start in range(0, 16, 3):
            shards = range(start, min(start + 3, 16))
            again += run_shards(budget, shards, half_of_the_first)
            for shard in shards:
                flops = budget.state.ledger.by_wave[shard // 4].settled[shard]
                create_commit(open_store(str(tmp_path / "broken")), commit_of(shard, flops))
            budget = make(tmp_path / "broken", "40%", shards=16)
        assert [share.tiles.tolist() for share in again] == [share.tiles.tolist() for share in shares]


def test_an_added_budget_goes_to_what_is_not_done(tmp_path: Path) -> None:
    budget = make(tmp_path, "40%", shards=16)
    before = budget.allocate(MANY)
    run_shards(budget, range(3), lambda _, cost: cost)
    done = [budget.begin(shard) for shard in range(3)]
    after = budget.add(parse_budget("20%"), "added once")
    assert budget.add(parse_budget("20%"), "added once").total == after.total
    assert after.total == before.total + before.full // 5
    assert before.allocation.spend < after.allocation.spend <= after.total
    again = make(tmp_path, "40%", shards=16)
    assert again.current().total == after.total
    assert [s.tiles.tolist() for s in done if s] == [budget.begin(n).tiles.tolist() for n in range(3)]  # type: ignore[union-attr]
    assert again.begin(5).tiles.tolist() == budget.begin(5).tiles.tolist()  # type: ignore[union-attr]


def test_nothing_is_added_where_all_is_done_meanwhile(tmp_path: Path) -> None:
    budget = make(tmp_path, "40%")
    budget.allocate(PARTS)
    for shard in range(len(PARTS)):
        create_commit(open_store(str(tmp_path)), Commit(ShardId(0, shard), "other", None, None, 700, (), None))
    with pytest.raises(BudgetError, match="every image is done"):
        budget.add(parse_budget("20%"), "added too late")
    assert not (tmp_path / allocation_key(generation_of(3), 1)).exists()


def test_a_shard_that_another_ran_with_an_added_budget_says_to_start_again(tmp_path: Path) -> None:
    slow = make(tmp_path, "10%")
    slow.allocate(PARTS)
    assert slow.begin(0) is not None
    other = make(tmp_path, "10%")
    other.add(parse_budget("90%"), "added by another")
    share = other.begin(0)
    assert share is not None
    spent = int(share.per_subnet @ COSTS)
    assert spent > slow.current().total
    with pytest.raises(StoreError, match="start again"):
        slow.settle(0, spent)
