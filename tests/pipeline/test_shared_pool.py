"""Whole jobs that draw from one pool: none spends what another holds, and what is left goes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from arm_batch import pipeline
from arm_batch.core.shared_pool import PoolState
from arm_batch.errors import BudgetError, StoppedError
from arm_batch.pipeline import pools
from arm_batch.runtime.shared_pool import SharedPool
from arm_batch.spec import ExecutorName, JobSpec, Resume
from arm_batch.store.objects import open_store
from arm_batch.store.pool_journal import PoolJournal
from tests.archives import draw, job, make_archive, silent, write_png
from tests.chaos.runs import start


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def full(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """FLOPs of the largest subnet everywhere."""
    return pipeline.upscale(job(archive, tmp_path_factory.mktemp("full") / "out"), silent).full_flops


def make_pool(folder: Path, flops: int) -> str:
    PoolJournal(open_store(str(folder))).create("p", flops)
    return f"pool:{folder}"


def state(folder: Path) -> PoolState:
    return SharedPool(open_store(str(folder))).state()


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

    def note(stage: str, number: int, _: int) -> None:
        if stage == "run":
            done.append(number)

    with pytest.raises(StoppedError):
        pipeline.upscale(spec, note, lambda: bool(done) and done[-1] >= 1)
    (claim,) = state(tmp_path / "pool").jobs.values()
    assert claim.active
    assert claim.fixed == claim.grant
    SharedPool(open_store(str(tmp_path / "pool"))).close()
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
        patch.setattr(pools, "_leave", die)
        with pytest.raises(KeyboardInterrupt):
            pipeline.upscale(spec, silent)
    assert all(claim.active for claim in state(tmp_path / "pool").jobs.values())
    pipeline.upscale(spec, silent)
    assert not any(claim.active for claim in state(tmp_path / "pool").jobs.values())


def test_failed_images_give_back_and_are_tried_again_from_the_pool(full: int, tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    spec = job(archive, tmp_path / "out", budget=make_pool(tmp_path / "pool", full))

    def spoil(stage: str, done: int, total: int) -> None:
        if stage == "plan" and done == total:
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
    return job(spec.input, spec.output, budget=spec.budget.text, resume=Resume(retry_failed=True))


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
