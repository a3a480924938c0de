from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from arm_batch.core.budget import parse_budget
from arm_batch.errors import BudgetError, OutputError
from arm_batch.nets.ladder_files import find_ladder, load_ladder
from arm_batch.runtime.budget import ALLOCATION_KEY, ArchiveBudget
from arm_batch.store.objects import open_store
from tests.archives import LADDER

SETTINGS = {"scale": "4"}


def make(output: Path, budget: str, run_id: str = "run") -> ArchiveBudget:
    ladder = load_ladder(find_ladder(LADDER)).ladder
    return ArchiveBudget(ladder, parse_budget(budget), open_store(str(output)), run_id, SETTINGS)


def register(budget: ArchiveBudget, order: tuple[int, ...]) -> list[np.ndarray]:
    bins = load_ladder(find_ladder(LADDER)).ladder.lut.n_bins
    histograms = [np.random.default_rng(s).integers(0, 20, bins) for s in range(3)]
    for shard in order:
        budget.register(shard, histograms[shard])
    return histograms


@pytest.mark.parametrize("percent", ["5%", "37%", "99.9%", "100%"])
def test_shares_add_up_to_the_allocation_in_any_order(tmp_path: Path, percent: str) -> None:
    first, second = make(tmp_path / "a", percent), make(tmp_path / "b", percent)
    histograms = register(first, (0, 1, 2))
    register(second, (2, 0, 1, 0))
    verdict = first.allocate()
    assert second.allocate().allocation.tiles.tolist() == verdict.allocation.tiles.tolist()
    shares = [first.begin(shard) for shard in range(3)]
    assert sum(shares).tolist() == verdict.allocation.tiles.tolist()
    for shard, share in enumerate(shares):
        assert share.sum(axis=1).tolist() == histograms[shard].tolist()
        assert second.begin(shard).tolist() == share.tolist()
    assert verdict.allocation.spend <= verdict.total


def test_settling_twice_counts_once_and_less_than_reserved_is_kept(tmp_path: Path) -> None:
    budget = make(tmp_path, "60%")
    register(budget, (0, 1, 2))
    budget.allocate()
    for _ in range(2):
        budget.begin(1)
        budget.settle(1, 1000)
    assert budget.spent() == 1000


def test_the_allocation_is_written_once_and_another_run_is_refused(tmp_path: Path) -> None:
    budget = make(tmp_path, "60%")
    register(budget, (0, 1, 2))
    verdict = budget.allocate()
    document = json.loads((tmp_path / ALLOCATION_KEY).read_text())
    assert document["tiles"] == verdict.allocation.tiles.tolist()
    assert document["settings"] == SETTINGS
    again = make(tmp_path, "60%")
    register(again, (0, 1, 2))
    again.allocate()
    other = make(tmp_path, "60%", run_id="other")
    register(other, (0, 1, 2))
    with pytest.raises(OutputError):
        other.allocate()


def test_a_budget_that_no_plan_meets_writes_nothing(tmp_path: Path) -> None:
    budget = make(tmp_path, "1FLOP")
    register(budget, (0, 1, 2))
    with pytest.raises(BudgetError):
        budget.allocate()
    assert list(tmp_path.iterdir()) == []
