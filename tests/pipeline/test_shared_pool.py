"""Whole jobs that draw from one pool: none spends what another holds, and what is left goes back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from arm_batch import pipeline
from arm_batch.budget.quota import SharedQuota
from arm_batch.budget.quota_journal import QuotaJournal
from arm_batch.core.progress import Progress
from arm_batch.core.quota.state import QuotaState
from arm_batch.errors import BudgetError, StoppedError
from arm_batch.pipeline import quota
from arm_batch.report import RunSummary
from arm_batch.runstate.allocation import read_revisions
from arm_batch.runstate.allocation_record import AllocationRecord
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.verify import verify_store
from arm_batch.spec import DryRunSpec, ExecutorName, JobSpec, PlanSpec, Resume
from arm_batch.storage.open import open_store
from tests.archives import LADDER, draw, job, make_archive, silent, write_png
from tests.chaos.runs import start


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def full(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """FLOPs of the largest subnet everywhere."""
    return pipeline.upscale(job(archive, tmp_path_factory.mktemp("full") / "out"), silent).full_flops


def make_pool(folder: Path, flops: int) -> str:
    QuotaJournal(open_store(str(folder))).create("p", flops)
    return f"pool:{folder}"


def state(folder: Path) -> QuotaState:
    return SharedQuota(open_store(str(folder))).state()


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_a_job_alone_gets_what_a_budget_of_its_own_would_give(
    archive: Path, full: int, tmp_path: Path, executor: ExecutorName
) -> None:
    alone = pipeline.upscale(job(archive, tmp_path / "alone", budget=f"{full // 2}FLOP"), silent)
    budget = make_pool(tmp_path / "pool", full // 2)
    summary = pipeline.upscale(job(archive, tmp_path / "out", budget=budget, executor=executor), silent)
    assert summary.subnet_tiles == alone.subnet_tiles
    assert summary.spent_flops == alone.spent_flops
    (claim,) = state(tmp_path / "pool").jobs.values()
    assert not claim.active
    assert claim.grant == claim.spent == summary.spent_flops


def test_the_second_gets_what_the_first_has_left(archive: Path, full: int, tmp_path: Path) -> None:
    budget = make_pool(tmp_path / "pool", full + full // 3)
    first = pipeline.upscale(job(archive, tmp_path / "a", budget=budget), silent)
    second = pipeline.upscale(job(archive, tmp_path / "b", budget=budget), silent)
    assert first.spent_flops == full
    assert full // 4 < second.spent_flops <= full // 3
    assert state(tmp_path / "pool").spent == first.spent_flops + second.spent_flops
    with pytest.raises(BudgetError, match="less than the"):
        pipeline.upscale(job(archive, tmp_path / "c", budget=budget), silent)
    assert [path for path in (tmp_path / "c").rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_two_at_once_in_two_processes(archive: Path, full: int, tmp_path: Path) -> None:
    total = full + full // 3
    budget = make_pool(tmp_path / "pool", total)
    drivers = [start(job(archive, tmp_path / name, budget=budget)) for name in ("a", "b")]
    for driver in drivers:
        driver.join()
    assert [driver.exitcode for driver in drivers] == [0, 0]
    after = state(tmp_path / "pool")
    assert len(after.jobs) == 2
    assert 0.9 * total < after.spent == after.granted <= total


def test_a_job_that_was_stopped_keeps_what_it_holds(archive: Path, full: int, tmp_path: Path) -> None:
    budget = make_pool(tmp_path / "pool", full // 2)
    spec = job(archive, tmp_path / "out", budget=budget, shard_images=2)
    done: list[int] = []

    def note(progress: Progress) -> None:
        if progress.stage == "run":
            done.append(progress.shards_done)

    with pytest.raises(StoppedError):
        pipeline.upscale(spec, note, lambda: bool(done) and done[-1] >= 1)
    (claim,) = state(tmp_path / "pool").jobs.values()
    assert claim.active
    assert 0 < claim.fixed <= claim.grant
    SharedQuota(open_store(str(tmp_path / "pool"))).close()
    summary = pipeline.upscale(spec, silent)
    (claim,) = state(tmp_path / "pool").jobs.values()
    assert (claim.active, claim.grant) == (False, summary.spent_flops)


def test_one_that_ends_before_it_has_left_leaves_the_next_time(
    archive: Path, full: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = job(archive, tmp_path / "out", budget=make_pool(tmp_path / "pool", full // 2))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(quota, "_leave", die)
        with pytest.raises(KeyboardInterrupt):
            pipeline.upscale(spec, silent)
    assert all(claim.active for claim in state(tmp_path / "pool").jobs.values())
    pipeline.upscale(spec, silent)
    assert not any(claim.active for claim in state(tmp_path / "pool").jobs.values())


def test_failed_images_give_back_and_are_tried_again_from_the_pool(full: int, tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    spec = job(archive, tmp_path / "out", budget=make_pool(tmp_path / "pool", full))

    def spoil(progress: Progress) -> None:
        if progress.stage == "plan" and progress.shards_done == progress.shards:
            (archive / "a.png").write_bytes(b"overwritten")

    spent = pipeline.upscale(spec, spoil).spent_flops
    assert state(tmp_path / "pool").granted == spent < full
    write_png(archive / "a.png", draw(0, 70, 90))
    summary = pipeline.upscale(again(spec), silent)
    assert summary.failed == 0
    after = state(tmp_path / "pool")
    assert len(after.jobs) == 2
    assert spent < after.spent == after.granted == summary.spent_flops <= full


def again(spec: JobSpec) -> JobSpec:
    return job(spec.plan.input, spec.output, budget=spec.budget.text, resume=Resume(retry_failed=True))


def test_what_is_repaired_after_the_end_does_not_trouble_the_pool(
    archive: Path, full: int, tmp_path: Path
) -> None:
    spec = job(archive, tmp_path / "out", budget=make_pool(tmp_path / "pool", full // 2))
    summary = pipeline.upscale(spec, silent)
    before = state(tmp_path / "pool")
    next((tmp_path / "out" / "data").iterdir()).write_bytes(b"damaged")
    repaired = job(archive, spec.output, budget=spec.budget.text, resume=Resume(repair=True))
    assert pipeline.upscale(repaired, silent).spent_flops == summary.spent_flops
    assert state(tmp_path / "pool") == before


def test_a_complete_run_does_not_need_its_pool_any_more(archive: Path, full: int, tmp_path: Path) -> None:
    spec = job(archive, tmp_path / "out", budget=make_pool(tmp_path / "pool", full // 2))
    summary = pipeline.upscale(spec, silent)
    (tmp_path / "pool").rename(tmp_path / "away")
    assert pipeline.upscale(spec, silent).spent_flops == summary.spent_flops


def many_images(folder: Path, seed: int, smooth: bool) -> Path:
    """Of twenty-four shards, at one image each; on one worker each is a wave of its own."""
    for number in range(24):
        pixels = draw(seed + number, 40 + number, 60)
        write_png(folder / f"{number:02}.png", cv2.GaussianBlur(pixels, (0, 0), 0.7) if smooth else pixels)
    return folder


@pytest.fixture(scope="module")
def rough(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return many_images(tmp_path_factory.mktemp("rough"), 0, smooth=False)


@pytest.fixture(scope="module")
def smooth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return many_images(tmp_path_factory.mktemp("smooth"), 100, smooth=True)


def at_shard(number: int, action: Callable[[], object]) -> Callable[[Progress], None]:
    """Does something when so many shards of a run are done."""

    acted = False

    def note(progress: Progress) -> None:
        nonlocal acted
        silent(progress)
        if (progress.stage, progress.shards_done) == ("run", number) and not acted:
            acted = True
            action()

    return note


def revisions_of(output: Path) -> list[AllocationRecord]:
    store = open_store(str(output))
    (generation,) = list_generations(store)
    assert verify_store(store, [generation]).problems == ()
    return read_revisions(store, generation)


@pytest.mark.parametrize("dies", [False, True])
def test_one_under_way_gives_way_to_one_that_comes(rough: Path, smooth: Path, tmp_path: Path, dies: bool) -> None:
    full = pipeline.upscale(job(rough, tmp_path / "alone", shard_images=1), silent).full_flops
    budget = make_pool(tmp_path / "pool", full // 4)
    first = job(rough, tmp_path / "first", budget=budget, shard_images=1)
    second = job(smooth, tmp_path / "second", budget=budget, shard_images=1)
    came: list[RunSummary] = []

    def come() -> None:
        came.append(pipeline.upscale(second, silent))
        if dies:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) if dies else contextlib.nullcontext():
        pipeline.upscale(first, at_shard(10, come))
    summary = pipeline.upscale(first, silent)
    before, *after = revisions_of(tmp_path / "first")
    (only,) = revisions_of(tmp_path / "second")
    # Ten shards are ten waves; it is the eleventh that is the first not to have begun.
    assert [allocation_record.shards[0] for allocation_record in after] == [10]
    assert after[0].total < before.total <= full // 4
    assert only.reason == "plan"
    assert summary.spent_flops + came[0].spent_flops == state(tmp_path / "pool").spent <= full // 4
    assert state(tmp_path / "pool").spent > 0.99 * (full // 4)


def test_one_under_way_gains_from_one_that_goes(rough: Path, smooth: Path, tmp_path: Path) -> None:
    full = pipeline.upscale(job(rough, tmp_path / "alone", shard_images=1), silent).full_flops
    budget = make_pool(tmp_path / "pool", full // 4)
    goes = job(smooth, tmp_path / "goes", budget=budget, shard_images=1)
    done: list[int] = []
    with pytest.raises(StoppedError):
        pipeline.upscale(goes, at_shard(1, lambda: done.append(1)), lambda: bool(done))
    (gone,) = state(tmp_path / "pool").jobs
    stays = job(rough, tmp_path / "stays", budget=budget, shard_images=1)
    pool = SharedQuota(open_store(str(tmp_path / "pool")))
    summary = pipeline.upscale(stays, at_shard(10, lambda: pool.leave(gone)))
    before, after = revisions_of(tmp_path / "stays")
    assert after.shards[0] == 10
    assert after.total > before.total
    assert summary.spent_flops > before.total
    # One that was let go and comes back finds what is left: here too little.
    with pytest.raises(BudgetError, match=r"is spent|less than the"):
        pipeline.upscale(goes, silent)
    pool.add("more", full // 4)
    assert pipeline.upscale(goes, silent).failed == 0
    after_all = state(tmp_path / "pool")
    assert not any(claim.active for claim in after_all.jobs.values())
    assert after_all.spent == after_all.granted <= after_all.total


def test_six_jobs_share_alike_although_the_first_has_begun(tmp_path: Path) -> None:
    archive = tmp_path / "in"
    for image in range(16):
        write_png(archive / f"{image:02}.png", draw(image, 48, 48))
    full = pipeline.upscale(job(archive, tmp_path / "full"), silent).full_flops
    total = 6 * full * 3 // 10
    budget = make_pool(tmp_path / "pool", total)
    specs = [job(archive, tmp_path / f"out-{number}", budget=budget, shard_images=1) for number in range(6)]

    def until_it_runs(spec: JobSpec) -> None:
        stages: list[str] = []
        pipeline.upscale(spec, lambda progress: stages.append(progress.stage), lambda: "run" in stages)

    def others_come() -> None:
        for spec in specs[1:]:
            with pytest.raises(StoppedError):
                until_it_runs(spec)

    shares = [pipeline.upscale(specs[0], at_shard(1, others_come)).spent_flops / full]
    shares += [pipeline.upscale(spec, silent).spent_flops / full for spec in specs[1:]]
    print([round(share, 3) for share in shares])
    # The first has begun one of sixteen shards when the others come, and that at the largest subnet.
    rest = (1.8 - 1 / 16) / (6 - 1 / 16)
    assert shares == pytest.approx([1 / 16 + 15 / 16 * rest] + [rest] * 5, abs=0.01)
    assert 0.98 * total < state(tmp_path / "pool").spent <= total


def test_a_plan_is_carried_out_within_a_pool(archive: Path, full: int, tmp_path: Path) -> None:
    planned = DryRunSpec(
        plan=PlanSpec(input=str(archive), ladder=LADDER, scale=4, executor="inline", workers=1),
        output=str(tmp_path / "plan"),
    )
    pipeline.plan(planned, silent)
    budget = make_pool(tmp_path / "pool", full // 2)
    spec = replace(job(archive, tmp_path / "out", budget=budget), adopt=str(tmp_path / "plan"))
    assert pipeline.upscale(spec, silent).spent_flops == state(tmp_path / "pool").spent <= full // 2
    make_pool(tmp_path / "small", full // 1000)
    spec = replace(job(archive, tmp_path / "refused", budget=f"pool:{tmp_path / 'small'}"), adopt=spec.adopt)
    with pytest.raises(BudgetError, match="less than the"):
        pipeline.upscale(spec, silent)
    assert not (tmp_path / "refused").exists()


def test_everything_on_s3(archive: Path, full: int, s3_endpoint: str, s3_bucket: str) -> None:
    root = open_store(f"s3://{s3_bucket}/pools/p", s3_endpoint)
    QuotaJournal(root).create("p", full // 2)
    spec = job(
        archive, f"s3://{s3_bucket}/out", budget=f"pool:{root.url}", endpoint_url=s3_endpoint, shard_images=1
    )
    summary = pipeline.upscale(spec, silent)
    after = SharedQuota(root).state()
    assert (after.spent, after.granted) == (summary.spent_flops, summary.spent_flops)
    assert 0.9 * (full // 2) < summary.spent_flops <= full // 2
