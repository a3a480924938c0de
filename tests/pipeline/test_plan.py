"""The dry run: what it tells, what it keeps, and a run that carries it out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from arm_batch import pipeline
from arm_batch.core.allocation.budget import Budget, parse_budget
from arm_batch.core.allocation.measures import OBJECTIVES, Objective
from arm_batch.core.image_options import Writing
from arm_batch.core.selection.sample import parse_sample
from arm_batch.core.selection.selection import Selection
from arm_batch.errors import (
    ArmBatchError,
    BudgetError,
    InputError,
    OutputError,
    StoppedError,
    StoreError,
    UsageError,
)
from arm_batch.execution import work
from arm_batch.execution.messages import JobContext
from arm_batch.execution.profiling import HostSample, Sampled, measure_host_overhead
from arm_batch.forecast import Forecast, forecast_document
from arm_batch.images import FORMATS
from arm_batch.models.ladder_files import load_ladder
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.plan_files import write_plan
from arm_batch.runstate.shard_plan import ShardPlan
from arm_batch.spec import DryRunSpec, JobSpec, PlanSpec, Resume, ShardLimits
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.local import LocalStore
from tests.archives import LADDER, draw, job, make_archive, make_messy_archive, replanned, silent, write_png
from tests.pipeline.test_resume import assert_whole, files, read, rows, stop_after

__all__ = ["read"]


def dry_run(archive: Path, output: Path | None = None, budget: Budget | None = None) -> DryRunSpec:
    return DryRunSpec(
        plan=PlanSpec(
            input=str(archive), ladder=LADDER, scale=4, executor="inline", workers=1, limits=ShardLimits(images=2)
        ),
        output=None if output is None else str(output),
        budget=budget,
        profiling=False,
    )


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "in")


@pytest.fixture
def folder(archive: Path, tmp_path: Path) -> Path:
    """The plan of `archive`."""
    pipeline.plan(dry_run(archive, tmp_path / "plan"), silent)
    return tmp_path / "plan"


@pytest.fixture
def spec(archive: Path, folder: Path, tmp_path: Path) -> JobSpec:
    """A run that carries `folder` out."""
    return replace(job(archive, tmp_path / "out", shard_images=2), adopt=str(folder))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("budget", ["30%", "5GFLOP", "18dB"])
def test_what_it_predicts_is_what_the_run_is_then_allocated(
    archive: Path, tmp_path: Path, objective: Objective, budget: str
) -> None:
    asked = replanned(dry_run(archive, budget=parse_budget(budget)), objective=objective)
    forecast = pipeline.plan(asked, silent)
    summary = pipeline.upscale(
        replanned(job(archive, tmp_path / "out", budget=budget), objective=objective), silent
    )
    assert forecast.asked is not None
    outcome = forecast.asked.outcome
    assert outcome is not None
    assert (outcome.flops, outcome.predicted) == (summary.spent_flops, summary.predicted)
    assert dict(zip(forecast.subnets, outcome.subnet_tiles, strict=True)) == summary.subnet_tiles
    assert forecast.full_flops.value == summary.full_flops
    assert outcome.share == summary.spent_flops / summary.full_flops


def test_it_tells_of_the_whole_archive_and_writes_nothing(
    archive: Path, tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    forecast = pipeline.plan(dry_run(archive), silent)
    assert files(tmp_path) == before
    assert len(read) == 7
    assert (forecast.images, forecast.scored, forecast.failures, forecast.plan) == (7, 7, (), None)
    assert forecast.tiles.value == 9 + 4 + 4 + 5 + 4 + 6 + 4
    lr_pixels = 70 * 90 + 33 * 40 + 64 * 64 + 20 * 130 + 50 * 60 + 45 * 70 + 40 * 40
    assert forecast.output_pixels.value == 16 * lr_pixels
    assert forecast.output_bytes.value == pytest.approx(16 * lr_pixels * FORMATS["png"].bytes_per_pixel)
    figures = [point.predicted.of(forecast.objective) for point in forecast.curve]
    assert figures == sorted(figures)
    assert forecast.curve[0].subnet_tiles == (36, 0, 0, 0)
    assert forecast.curve[-1].share <= 1
    assert forecast.knee in forecast.curve[1:-1]
    assert (forecast.devices, {len(point.pool_seconds) for point in forecast.curve}) == ({}, {0})
    assert all(point.interval is None for point in forecast.curve)
    document = json.loads(forecast_document(forecast))
    assert len(document["curve"]) == len(forecast.curve)
    assert document["knee"]["flops"] == forecast.knee.flops


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[object]:
    """Made-up speeds: 1, 2 and 4 s for a tile, and 8 s a megapixel beside; gets what they were measured on."""
    measured: list[object] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(work, "measure_tiles", lambda *_: [0.0, 1.0, 2.0, 4.0])
    original = measure_host_overhead

    def measure(context: JobContext, shard: Sampled) -> HostSample:
        measured.append(shard)
        seconds, pixels = original(context, shard)
        assert seconds > 0
        return 8e-6 * pixels, pixels

    monkeypatch.setattr(work, "measure_host_overhead", measure)
    return measured


LR_PIXELS = 70 * 90 + 33 * 40 + 64 * 64 + 20 * 130 + 50 * 60 + 45 * 70 + 40 * 40
"""Of `archive`."""


@pytest.mark.parametrize("keep", [False, True])
def test_measured_speeds_give_wall_times(archive: Path, tmp_path: Path, speeds: list[object], keep: bool) -> None:
    spec = replace(dry_run(archive, tmp_path / "plan" if keep else None, parse_budget("40%")), profiling=True)
    forecast = pipeline.plan(spec, silent)
    assert forecast.devices == {"cpu": 1}
    assert forecast.asked is not None
    assert forecast.asked.outcome is not None
    for point in (*forecast.curve, forecast.asked.outcome):
        _, small, middle, large = point.subnet_tiles
        assert point.pool_seconds["cpu"] == pytest.approx(small + 2 * middle + 4 * large + 8e-6 * LR_PIXELS)
    assert len(speeds) == 4
    assert pipeline.plan(spec, silent) == forecast


@pytest.mark.usefixtures("speeds")
def test_wall_times_of_a_sample_are_the_whole_archives(large_archive: Path) -> None:
    spec = replanned(
        replace(dry_run(large_archive), profiling=True), selection=Selection(sample=parse_sample("20"))
    )
    forecast = pipeline.plan(spec, silent)
    last = forecast.curve[-1]
    busy = float(np.array(last.subnet_tiles) @ [0.0, 1.0, 2.0, 4.0])
    assert last.pool_seconds["cpu"] == pytest.approx(busy, abs=8e-6 * 10**6)
    assert last.pool_seconds["cpu"] > busy
    assert busy == pytest.approx(4 * forecast.tiles.value, rel=0.01)


def test_an_archive_without_a_readable_image_is_not_measured(tmp_path: Path, speeds: list[object]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"")
    assert pipeline.plan(replace(dry_run(tmp_path / "in"), profiling=True), silent).devices == {}
    assert speeds == []


def test_images_that_cannot_be_upscaled_are_named_and_not_counted(tmp_path: Path) -> None:
    forecast = pipeline.plan(dry_run(make_messy_archive(tmp_path / "in")), silent)
    assert (forecast.images, forecast.scored) == (6, 6)
    assert [path for path, _ in forecast.failures] == ["corrupt.png", "empty.png", "text.jpg"]
    assert dict(forecast.failures)["empty.png"] == "empty file"
    assert forecast.output_pixels.value == 16 * (70 * 90 + 1 + 3 * 5000)


def test_an_archive_without_a_readable_image_has_no_curve(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"")
    (tmp_path / "in" / "b.png").write_bytes(b"")
    for sample in (None, parse_sample("2")):
        spec = replanned(dry_run(tmp_path / "in", budget=parse_budget("20dB")), selection=Selection(sample=sample))
        forecast = pipeline.plan(spec, silent)
        assert (forecast.curve, forecast.knee, len(forecast.failures)) == ((), None, 2)
        assert json.loads(forecast_document(forecast))["curve"] == []


def test_budgets_that_no_plan_meets_are_told_beside_the_curve(archive: Path) -> None:
    for budget, told in (("70dB", "no budget reaches 70 dB"), ("1MFLOP", "interpolation alone needs")):
        forecast = pipeline.plan(dry_run(archive, budget=parse_budget(budget)), silent)
        assert forecast.asked is not None
        assert forecast.asked.outcome is None
        assert told in str(forecast.asked.refused)
        assert len(forecast.curve) > 10
    with pytest.raises(BudgetError, match="is a time"):
        pipeline.plan(dry_run(archive, budget=parse_budget("90min")), silent)


@pytest.fixture
def large_archive(tmp_path: Path) -> Path:
    for seed in range(40):
        write_png(tmp_path / "large" / f"{seed:02d}.png", draw(seed, 20 + 2 * seed, 50))
    (tmp_path / "large" / "broken.png").write_bytes(b"")
    return tmp_path / "large"


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_sample_stands_for_the_archive_with_intervals(
    large_archive: Path, read: list[str], objective: Objective
) -> None:
    whole = pipeline.plan(replanned(dry_run(large_archive), objective=objective), silent)
    read.clear()
    spec = replanned(dry_run(large_archive, budget=parse_budget("50%")), objective=objective)
    # The intervals of 59, 57 and 56 of the seeds 0 to 59 hold the truth (psnr, mse, image-psnr): this one's do.
    spec = replanned(spec, selection=Selection(sample=parse_sample("20"), seed=5))
    forecast = pipeline.plan(spec, silent)
    assert len(set(read)) == len(read) == 20
    assert (forecast.images, forecast.scored, forecast.seed) == (41, 20, 5)
    for estimate, truth in (
        (forecast.tiles, whole.tiles),
        (forecast.full_flops, whole.full_flops),
        (forecast.output_bytes, whole.output_bytes),
    ):
        assert estimate.interval is not None
        assert estimate.interval.low < estimate.value < estimate.interval.high
        assert estimate.interval.low <= truth.value <= estimate.interval.high
        assert truth.interval is None
    for point in forecast.curve:
        assert point.interval is not None
        assert point.interval.low < point.predicted.of(objective) < point.interval.high
    assert forecast.asked is not None
    assert forecast.asked.outcome is not None
    assert forecast.asked.outcome.flops == pytest.approx(forecast.full_flops.value / 2, rel=0.02)
    ends = [(point.share, point.predicted.of(objective)) for point in whole.curve]
    truth_at_half = float(
        np.interp(forecast.asked.outcome.share, [share for share, _ in ends], [value for _, value in ends])
    )
    interval = forecast.asked.outcome.interval
    assert interval is not None
    assert interval.low <= truth_at_half <= interval.high


def test_a_sample_follows_from_its_seed(large_archive: Path, read: list[str]) -> None:
    spec = replanned(dry_run(large_archive), selection=Selection(sample=parse_sample("25%")))
    drawn: list[Sequence[str]] = []
    forecasts: list[Forecast] = []
    for seed in (0, 0, 1):
        read.clear()
        forecasts.append(pipeline.plan(replanned(spec, selection=replace(spec.plan.selection, seed=seed)), silent))
        drawn.append(tuple(read))
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 11
    assert forecasts[0] == forecasts[1] != forecasts[2]


def test_a_flop_budget_is_the_whole_archives_also_with_a_sample(large_archive: Path) -> None:
    spec = replanned(
        dry_run(large_archive, budget=parse_budget("4GFLOP")), selection=Selection(sample=parse_sample("20"))
    )
    asked = pipeline.plan(spec, silent).asked
    assert asked is not None
    assert asked.outcome is not None
    assert 3.8e9 < asked.outcome.flops <= 4e9


def test_a_sample_of_all_is_certain(large_archive: Path) -> None:
    whole = pipeline.plan(dry_run(large_archive), silent)
    forecast = pipeline.plan(
        replanned(dry_run(large_archive), selection=Selection(sample=parse_sample("100%"))), silent
    )
    assert [replace(point, interval=None) for point in forecast.curve] == list(whole.curve)
    assert all(p.interval is not None and p.interval.low == p.interval.high for p in forecast.curve)


@pytest.mark.parametrize("budget", ["30%", "18dB"])
def test_a_run_carries_a_plan_out_without_planning_again(
    archive: Path, folder: Path, spec: JobSpec, tmp_path: Path, read: list[str], budget: str
) -> None:
    before = files(folder)
    spec = replace(spec, budget=parse_budget(budget))
    summary = pipeline.upscale(spec, silent)
    assert sorted(read) == sorted(str(p.relative_to(archive)) for p in archive.rglob("*.png"))
    assert files(folder) == before
    assert_whole(tmp_path / "out")
    direct = pipeline.upscale(replace(spec, adopt=None, output=str(tmp_path / "direct")), silent)
    assert rows(tmp_path / "out").equals(rows(tmp_path / "direct"))
    assert summary.run_id == direct.run_id
    read.clear()
    again = pipeline.upscale(spec, silent)
    assert read == []
    assert msgspec.structs.replace(again, timings=summary.timings, ran=summary.ran) == summary
    # It is a run like any other from then on.
    assert pipeline.upscale(replace(spec, adopt=None), silent).run_id == summary.run_id


def test_a_run_that_was_stopped_goes_on_with_or_without_the_plan(
    spec: JobSpec, tmp_path: Path, read: list[str]
) -> None:
    with pytest.raises(StoppedError):
        pipeline.upscale(spec, *stop_after("run", 1))
    with pytest.raises(StoppedError):
        pipeline.upscale(replace(spec, adopt=None), *stop_after("run", 3))
    pipeline.upscale(spec, silent)
    assert len(read) == 7
    assert_whole(tmp_path / "out")


def test_taking_a_plan_over_can_be_broken_off(
    spec: JobSpec, tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("arm_batch.pipeline.adopt.write_plan", _fails_after(2))
        with pytest.raises(StoreError, match="the store is gone"):
            pipeline.upscale(spec, silent)
    assert read == []
    assert len(list((tmp_path / "out" / "plan" / "g0000" / "shards").iterdir())) == 2
    pipeline.upscale(spec, silent)
    assert len(read) == 7
    assert_whole(tmp_path / "out")


def _fails_after(number: int) -> Callable[[ObjectStore, ShardPlan], ShardPlan]:
    left = iter(range(number))

    def write(store: ObjectStore, plan: ShardPlan) -> ShardPlan:
        if next(left, None) is None:
            raise StoreError("the store is gone")
        return write_plan(store, plan)

    return write


def test_a_target_out_of_reach_leaves_the_plan_and_no_run(spec: JobSpec, folder: Path, tmp_path: Path) -> None:
    before = files(folder)
    with pytest.raises(BudgetError, match="no budget reaches"):
        pipeline.upscale(replace(spec, budget=parse_budget("70dB")), silent)
    assert files(folder) == before
    pipeline.upscale(spec, silent)
    assert_whole(tmp_path / "out")


def test_images_that_came_after_the_plan_wait_and_can_be_taken_up(
    archive: Path, folder: Path, spec: JobSpec, tmp_path: Path
) -> None:
    write_png(archive / "late.png", draw(20, 50, 50))
    forecast = pipeline.plan(dry_run(archive, folder), silent)
    assert (forecast.images, forecast.waiting) == (7, 1)
    assert pipeline.upscale(spec, silent).waiting == 1
    assert pipeline.upscale(replace(spec, resume=Resume(extend=True)), silent).images == 8
    assert_whole(tmp_path / "out")


def test_planning_that_was_stopped_goes_on(archive: Path, tmp_path: Path, spec: JobSpec, read: list[str]) -> None:
    read.clear()
    half = dry_run(archive, tmp_path / "half")
    with pytest.raises(StoppedError, match="run the same command again"):
        pipeline.plan(half, *stop_after("plan", 2))
    assert 4 <= len(read) <= 7
    first = len(read)
    with pytest.raises(UsageError, match=r"not complete \(2 of 4 shards\)"):
        pipeline.upscale(replace(spec, adopt=str(tmp_path / "half")), silent)
    forecast = pipeline.plan(half, silent)
    # The two shards that were not planned, whether or not their images had been read ahead.
    assert len(read) - first == 3
    assert pipeline.plan(half, silent) == forecast
    assert len(read) - first == 3
    assert forecast == replace(pipeline.plan(dry_run(archive), silent), plan=forecast.plan)
    assert not (tmp_path / "out").exists()
    with pytest.raises(StoppedError, match="nothing was kept"):
        pipeline.plan(dry_run(archive), *stop_after("plan", 2))


def test_a_plan_for_something_else_is_refused_naming_each_difference(
    archive: Path, folder: Path, spec: JobSpec, tmp_path: Path
) -> None:
    other = make_messy_archive(tmp_path / "other")
    before = files(folder)
    with pytest.raises(UsageError) as caught:
        pipeline.upscale(
            replanned(replace(spec, sink="files"), input=str(other), objective="mse", writing=Writing("jpeg")),
            silent,
        )
    for told in (
        f"input was '{archive}', is '{other}'",
        "objective was 'image-psnr', is 'mse'",
        "format was 'auto', is 'jpeg'",
    ):
        assert told in str(caught.value)
    assert "sink" not in str(caught.value)
    with pytest.raises(OutputError, match="objective was 'image-psnr', is 'psnr'"):
        pipeline.plan(replanned(dry_run(archive, folder), objective="psnr"), silent)
    assert files(folder) == before
    assert not (tmp_path / "out").exists()


def test_folders_that_are_no_plan_or_no_output_are_refused(
    archive: Path, folder: Path, spec: JobSpec, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    pipeline.upscale(replace(spec, adopt=None, output=str(run)), silent)
    write_png(tmp_path / "few" / "a.png", draw(0, 40, 40))
    pipeline.plan(dry_run(archive, tmp_path / "coarse"), silent)
    coarse = replanned(dry_run(archive, tmp_path / "coarser"), limits=ShardLimits(images=5))
    pipeline.plan(coarse, silent)
    cases: list[tuple[Callable[[], object], type[ArmBatchError], str]] = [
        (lambda: pipeline.upscale(replace(spec, adopt=str(run)), silent), UsageError, "holds no plan"),
        (lambda: pipeline.upscale(replace(spec, adopt=str(tmp_path / "x")), silent), UsageError, "holds no plan"),
        (lambda: pipeline.upscale(replace(spec, output=str(folder)), silent), OutputError, "give it as --plan"),
        (
            lambda: pipeline.upscale(replace(spec, output=str(run), adopt=coarse.output), silent),
            OutputError,
            "not begun with the plan",
        ),
        (lambda: pipeline.plan(dry_run(archive, run), silent), OutputError, "a folder of its own"),
        (lambda: pipeline.plan(dry_run(archive, archive / "plan"), silent), InputError, "lies inside INPUT"),
        (lambda: pipeline.plan(dry_run(archive, tmp_path / "few"), silent), OutputError, "not empty"),
        (
            lambda: pipeline.plan(
                replanned(dry_run(archive, tmp_path / "x"), selection=Selection(sample=parse_sample("3"))), silent
            ),
            UsageError,
            "leave out --sample",
        ),
    ]
    before = files(tmp_path)
    for attempt, error, told in cases:
        with pytest.raises(error, match=told) as caught:
            attempt()
        assert "\n" not in str(caught.value)
    assert files(tmp_path) == before
    # Whoever began it, with the same shards it is the same plan.
    assert pipeline.upscale(replace(spec, output=str(run)), silent).images == 7


def test_a_damaged_plan_is_named(spec: JobSpec, folder: Path) -> None:
    damaged = folder / "plan" / "g0000" / "shards" / "000002.parquet"
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(StoreError, match=r"000002\.parquet is damaged"):
        pipeline.upscale(spec, silent)


def test_plans_live_in_s3_too(archive: Path, s3_endpoint: str, s3_bucket: str) -> None:
    url = f"s3://{s3_bucket}/plan"
    pipeline.plan(replanned(replace(dry_run(archive), output=url), endpoint_url=s3_endpoint), silent)
    spec = replace(job(archive, f"s3://{s3_bucket}/out", endpoint_url=s3_endpoint), adopt=url)
    assert pipeline.upscale(spec, silent).images == 7


def test_a_plan_holds_no_budget(folder: Path) -> None:
    (generation,) = list_generations(LocalStore(str(folder)))
    ladder = load_ladder(LADDER).ladder
    assert generation.kind == "plan"
    assert generation.settings.keys() == {
        *("input", "ladder", "scale", "objective", "format", "selection", "dedup"),
        *("max-pixels", "to-srgb", "float-range", "frames"),
    }
    assert generation.settings["ladder"] == ladder.digest
