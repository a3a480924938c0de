"""Runs with a budget of time, at made-up speeds: no test depends on how fast the machine is."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from arm_batch import pipeline
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.progress import Progress
from arm_batch.errors import BudgetError, StoppedError
from arm_batch.execution import work
from arm_batch.execution.speed_cache import cache_file
from arm_batch.report import RunSummary
from arm_batch.runstate.allocation import read_revisions
from arm_batch.runstate.generation import list_generations
from arm_batch.spec import Resume
from arm_batch.storage.open import open_store
from tests.archives import job, make_archive, silent


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "in")


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is measured: seconds per tile, and beside; `measured` counts how often."""
    told: dict[str, Any] = {"tiles": [0.0, 100.0, 200.0, 400.0], "host": (1.0, 10**6), "measured": 0}

    def measure(*_: object) -> list[float]:
        told["measured"] += 1
        return list(told["tiles"])

    monkeypatch.setattr(work, "measure_tiles", measure)
    monkeypatch.setattr(work, "measure_host_overhead", lambda *_: told["host"])
    return told


def forecast(output: Path) -> dict[str, Any]:
    (generation,) = json.loads((output / "run.json").read_text())["generations"]
    return dict(generation["forecast"])


def assert_best(summary: RunSummary, archive: Path, tmp_path: Path) -> None:
    """Nothing better can be bought; no time goes to the largest subnet where the table sees no gain in it."""
    best = pipeline.upscale(job(archive, tmp_path / "best", budget="100%"), silent)
    assert best.spent_flops == best.full_flops
    assert summary.spent_flops <= best.spent_flops
    assert summary.predicted is not None
    assert best.predicted is not None
    assert summary.predicted.of(summary.objective) == pytest.approx(best.predicted.of(best.objective))


def test_a_wall_budget_buys_what_fits_and_says_how(
    archive: Path, tmp_path: Path, speeds: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = count()
    monkeypatch.setattr("arm_batch.pipeline.clock.time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    summary = pipeline.upscale(job(archive, tmp_path / "out", budget="1h"), silent)
    told = forecast(tmp_path / "out")
    (pool,) = told["pools"]
    assert told["wall_seconds"] == 3600
    assert pool["seconds"] == speeds["tiles"]
    assert sum(pool["tiles"]) == sum(list(summary.subnet_tiles.values())[1:])
    busy = sum(n * s for n, s in zip(pool["tiles"], pool["seconds"], strict=True))
    assert 0 < told["passed_seconds"] < next(ticks)
    # Less than an upgrade is left of the hour.
    assert 3600 - 400 < told["passed_seconds"] + busy <= told["expected_seconds"] <= 3600
    assert summary.spent_flops == summary.budget_flops < summary.full_flops
    assert summary.expected_seconds == told["expected_seconds"]


def test_all_the_time_in_the_world_buys_everything(archive: Path, tmp_path: Path, speeds: dict[str, Any]) -> None:
    summary = pipeline.upscale(job(archive, tmp_path / "out", budget="900h"), silent)
    assert speeds["measured"] == 1
    assert_best(summary, archive, tmp_path)


def test_cpu_hours_count_the_cores_of_the_run(archive: Path, tmp_path: Path, speeds: dict[str, Any]) -> None:
    del speeds
    pipeline.upscale(job(archive, tmp_path / "out", budget="1cpu-hour"), silent)
    assert forecast(tmp_path / "out")["wall_seconds"] == 3600


def test_a_second_run_remembers_the_speeds(archive: Path, tmp_path: Path, speeds: dict[str, Any]) -> None:
    for name in ("one", "two"):
        pipeline.upscale(job(archive, tmp_path / name, budget="1h"), silent)
    assert speeds["measured"] == 1
    cache_file().write_text("damaged")
    pipeline.upscale(job(archive, tmp_path / "three", budget="1h"), silent)
    assert speeds["measured"] == 2


def test_a_resume_keeps_the_allocation_and_measures_nothing(
    archive: Path, tmp_path: Path, speeds: dict[str, Any]
) -> None:
    asked = job(archive, tmp_path / "out", budget="1h", shard_images=2)
    seen: list[int] = []

    def note(progress: Progress) -> None:
        if progress.stage == "run":
            seen.append(progress.shards_done)

    with pytest.raises(StoppedError):
        pipeline.upscale(asked, note, lambda: 1 in seen)
    cache_file().unlink()
    speeds["tiles"] = [0.0, 1e9, 1e9, 1e9]
    summary = pipeline.upscale(asked, silent)
    assert speeds["measured"] == 1
    assert forecast(tmp_path / "out")["pools"][0]["seconds"] == [0.0, 100.0, 200.0, 400.0]
    assert summary.spent_flops == summary.budget_flops


def test_flops_can_be_added_to_a_time_and_no_time_to_anything(
    archive: Path, tmp_path: Path, speeds: dict[str, Any]
) -> None:
    asked = job(archive, tmp_path / "out", budget="1h", shard_images=2)
    done: list[int] = []

    def count(progress: Progress) -> None:
        done.append(progress.shards_done * (progress.stage == "run"))

    with pytest.raises(StoppedError):
        pipeline.upscale(asked, count, lambda: 1 in done)
    before = sorted(tmp_path.rglob("*"))
    for added in ("30min", "1gpu-hour", "28dB", "pool:/somewhere"):
        with pytest.raises(BudgetError, match="add a share such as 10%, or FLOPs") as raised:
            pipeline.upscale(replace(asked, resume=Resume(add_budget=parse_budget(added))), silent)
        assert "\n" not in str(raised.value)
    assert sorted(tmp_path.rglob("*")) == before
    summary = pipeline.upscale(replace(asked, resume=Resume(add_budget=parse_budget("20%"))), silent)
    assert speeds["measured"] == 1
    (generation,) = list_generations(open_store(str(tmp_path / "out")))
    first, raised_to = read_revisions(open_store(str(tmp_path / "out")), generation)
    assert summary.budget_flops == raised_to.total == first.total + first.full // 5
    assert first.total < summary.spent_flops <= raised_to.total


@pytest.mark.parametrize(
    ("budget", "host_overhead", "told"),
    [
        ("3gpu-hours", 1.0, "needs a GPU"),
        ("1h", 1e9, "less than interpolation alone needs"),
        ("1e-6s", 0.0, "passed"),
    ],
)
def test_what_no_plan_meets_leaves_no_run_behind(
    archive: Path, tmp_path: Path, speeds: dict[str, Any], budget: str, host_overhead: float, told: str
) -> None:
    speeds["host"] = (host_overhead, 10**6)
    stages = []
    with pytest.raises(BudgetError, match=told) as raised:
        pipeline.upscale(
            job(archive, tmp_path / "out", budget=budget), lambda progress: stages.append(progress.stage)
        )
    assert "\n" not in str(raised.value)
    assert list_generations(open_store(str(tmp_path / "out"))) == []
    # That there is no GPU is known before anything is read.
    assert ("plan" in stages) == (budget != "3gpu-hours")


@pytest.mark.usefixtures("cluster")
def test_on_ray_the_actors_are_measured_once(archive: Path, tmp_path: Path) -> None:
    summary = pipeline.upscale(job(archive, tmp_path / "one", budget="9h", executor="ray"), silent)
    assert_best(summary, archive, tmp_path)
    told = forecast(tmp_path / "one")
    assert told["cores"] == 2
    assert told["beside_seconds"] > 0
    assert [(pool["kind"], pool["devices"]) for pool in told["pools"]] == [("cpu", 2)]
    # With other figures in their place the next run does as they say.
    kept = json.loads(cache_file().read_text())
    (entry,) = kept.values()
    assert entry["seconds"] == pytest.approx(told["pools"][0]["seconds"])
    entry["seconds"][1:] = [1e9, 1e9, 1e9]
    cache_file().write_text(json.dumps(kept))
    summary = pipeline.upscale(job(archive, tmp_path / "two", budget="9h", executor="ray"), silent)
    assert list(summary.subnet_tiles.values())[1:] == [0, 0, 0]
    with pytest.raises(BudgetError, match="needs a GPU"):
        pipeline.upscale(job(archive, tmp_path / "three", budget="1gpu-hour", executor="ray"), silent)
