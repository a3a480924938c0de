"""A target in place of a budget: the least spend predicted to reach it, also on the way on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from arm_batch import pipeline
from arm_batch.core.allocation.budget import parse_budget, target_budget
from arm_batch.core.allocation.measures import OBJECTIVES, Objective
from arm_batch.errors import BudgetError, StoppedError
from arm_batch.report import RunSummary
from arm_batch.spec import JobSpec, Resume
from tests.archives import draw, job, make_archive, replanned, silent, write_png
from tests.pipeline.test_resume import assert_whole, stop_after


def figure(summary: RunSummary) -> float:
    assert summary.predicted is not None
    return summary.predicted.of(summary.objective)


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    return job(make_archive(tmp_path / "in"), tmp_path / "out", shard_images=2)


def half_way(spec: JobSpec, decimals: int) -> float:
    """In the middle between what the least and the most spend are predicted to give, in dB."""
    ends = [
        figure(pipeline.upscale(replace(spec, output=spec.output + budget, budget=parse_budget(budget)), silent))
        for budget in ("1%", "100%")
    ]
    return round(sum(ends) / 2, decimals)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_is_reached_and_a_little_less_spend_would_not_do(
    spec: JobSpec, tmp_path: Path, objective: Objective
) -> None:
    spec = replanned(spec, objective=objective)
    target = half_way(spec, 3)
    summary = pipeline.upscale(replace(spec, budget=target_budget(target)), silent)
    assert figure(summary) >= target
    assert summary.spent_flops <= summary.budget_flops < summary.full_flops
    less = parse_budget(f"{summary.budget_flops - summary.full_flops // 50}FLOP")
    below = pipeline.upscale(replace(spec, output=str(tmp_path / "less"), budget=less), silent)
    assert figure(below) < target
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["settings"]["budget"] == record["budget"] == f"{target:.12g}dB"
    assert record["budget_flops"] == summary.budget_flops


def test_out_of_reach_is_refused_saying_what_can_be_had_and_leaves_no_run(spec: JobSpec, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match=r"no budget reaches 70 dB: all of it is predicted to give \d+\.\d\d dB"):
        pipeline.upscale(replace(spec, budget=target_budget(70)), silent)
    assert not (tmp_path / "out" / "plan" / "g0000" / "generation.json").exists()
    assert pipeline.upscale(spec, silent).failed == 0


def test_a_run_with_a_target_goes_on_however_it_is_written(spec: JobSpec, tmp_path: Path) -> None:
    target = half_way(spec, 2)
    spec = replace(spec, budget=parse_budget(f"{target:.2f} dB"))
    with pytest.raises(StoppedError):
        pipeline.upscale(spec, *stop_after("run", 1))
    summary = pipeline.upscale(replace(spec, budget=target_budget(target)), silent)
    assert figure(summary) >= target
    assert_whole(tmp_path / "out")
    write_png(tmp_path / "in" / "late.png", draw(20, 50, 50))
    extended = pipeline.upscale(replace(spec, budget=parse_budget("90%"), resume=Resume(extend=True)), silent)
    assert (extended.images, extended.waiting) == (8, 0)
    assert extended.spent_flops > summary.spent_flops
    assert_whole(tmp_path / "out")


def test_failed_images_that_stay_below_the_target_get_all_that_helps(tmp_path: Path) -> None:
    write_png(tmp_path / "in" / "smooth.png", draw(0, 64, 640)[:, :64])
    (tmp_path / "in" / "noise.png").write_bytes(b"")
    spec = job(tmp_path / "in", tmp_path / "out")
    first = pipeline.upscale(replace(spec, budget=target_budget(25)), silent)
    assert figure(first) > 25
    write_png(tmp_path / "in" / "noise.png", draw(1, 64, 640)[:, -64:])
    with pytest.raises(BudgetError, match="no budget reaches 25 dB"):
        pipeline.upscale(
            replanned(
                replace(spec, output=str(tmp_path / "both"), budget=target_budget(25)),
                input=str(tmp_path / "in" / "noise.png"),
            ),
            silent,
        )
    second = pipeline.upscale(replace(spec, budget=target_budget(25), resume=Resume(retry_failed=True)), silent)
    assert second.failed == 0
    assert second.spent_flops - first.spent_flops == second.full_flops - first.full_flops
