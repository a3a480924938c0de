"""The executor without a cluster: on several cores it gives the bytes of one."""

from __future__ import annotations

import io
import os
import signal
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from arm_batch import open_dataset, pipeline
from arm_batch.core.large_images import LargeImages
from arm_batch.core.progress import Progress
from arm_batch.errors import ArmBatchError, StoppedError
from arm_batch.execution.helpers import Helpers, helpers_ended
from arm_batch.runstate.commit import listed
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.verify import verify_store
from arm_batch.spec import DryRunSpec, JobSpec, Sink
from arm_batch.storage.local import LocalStore
from tests.archives import draw, job, make_archive, make_messy_archive, replanned, silent, write_png


def rows(spec: JobSpec) -> pa.Table:
    return open_dataset(spec.output).to_table().sort_by("path")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound images of all kinds, damaged ones beside them, and copies."""
    folder = make_messy_archive(make_archive(tmp_path_factory.mktemp("archive")))
    for number in range(12):
        data = io.BytesIO()
        Image.fromarray(draw(number, 200, 160)).save(data, "JPEG", quality=90)
        whole = data.getvalue()
        # Such as libjpeg makes pixels up for, which libvips notes in one place of the process.
        (folder / f"jpeg-{number:02d}.jpg").write_bytes(whole[: len(whole) // 2] if number % 3 == 0 else whole)
    write_png(folder / "z-copy.png", draw(0, 70, 90))
    return folder


@pytest.mark.parametrize("sink", ["parquet", "files", "webdataset"])
def test_two_give_the_bytes_of_one(archive: Path, tmp_path: Path, sink: Sink) -> None:
    one = replanned(job(archive, tmp_path / "one", sink=sink, shard_images=5), dedup=True)
    two = replanned(replace(one, output=str(tmp_path / "two")), workers=2)
    expected, found = pipeline.upscale(one, silent), pipeline.upscale(two, silent)
    assert (found.images, found.failed, found.spent_flops) == (
        expected.images,
        expected.failed,
        expected.spent_flops,
    )
    assert found.failed == 3 + 4
    # Tars are named by the attempt; what is in them, the hashes tell.
    left_out = ["image"] if sink == "webdataset" else []
    assert rows(two).drop(left_out).equals(rows(one).drop(left_out))
    for path in (tmp_path / "one" / "images").rglob("*.*"):
        assert (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes() == path.read_bytes()
    assert "in 2 processes" in found.ran


def test_large_images_too(tmp_path: Path) -> None:
    for number in range(3):
        write_png(tmp_path / "in" / f"{number}.png", draw(number, 150 + 60 * number, 100))
    some = LargeImages(pixels=300_000, streamed=100_000, band_bytes=1 << 20)
    one = replanned(job(tmp_path / "in", tmp_path / "one"), large_images=some)
    two = replanned(replace(one, output=str(tmp_path / "two")), workers=2)
    for spec in (one, two):
        assert pipeline.upscale(spec, silent).failed == 0
    assert rows(two).equals(rows(one))


def test_a_dry_run_says_the_same(archive: Path) -> None:
    told = []
    for workers in (1, 2):
        plan = replace(job(archive, "nowhere").plan, workers=workers)
        told.append(pipeline.plan(DryRunSpec(plan=plan, profiling=False), silent))
    assert told[0] == told[1]


def test_all_that_work_are_measured(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forecasts = []
    # The second time from what was remembered.
    for _ in range(2):
        plan = replace(job(archive, "nowhere").plan, workers=2)
        forecasts.append(pipeline.plan(DryRunSpec(plan=plan), silent))
    for forecast in forecasts:
        assert forecast.devices == {"cpu": 2}
        times = [point.pool_seconds["cpu"] for point in forecast.curve]
        assert 0 < times[0] < times[-1]


def test_a_stop_leaves_what_can_be_gone_on_with(archive: Path, tmp_path: Path) -> None:
    spec = replanned(job(archive, tmp_path / "out", shard_images=2), workers=2)
    done: list[int] = []

    def note(progress: Progress) -> None:
        if progress.stage == "run":
            done.append(progress.shards_done)

    with pytest.raises(StoppedError, match="run the same command again"):
        pipeline.upscale(spec, note, lambda: bool(done) and done[-1] >= 1)
    store = LocalStore(spec.output)
    assert 0 < len(listed(store)) < len(list(archive.rglob("*.*"))) // 2
    pipeline.upscale(spec, silent)
    assert verify_store(store, list_generations(store)).problems == ()
    whole = job(archive, tmp_path / "whole", shard_images=2)
    pipeline.upscale(whole, silent)
    assert rows(spec).equals(rows(whole))


def test_a_lost_helper_ends_the_run_which_can_be_gone_on_with(archive: Path, tmp_path: Path) -> None:
    spec = replanned(job(archive, tmp_path / "out", shard_images=2), workers=2)
    with helpers_ended() as helpers:

        def kill(progress: Progress) -> None:
            if (progress.stage, progress.shards_done) == ("run", 1) and helpers.all:
                os.kill(helpers.all[0]._process.pid, signal.SIGKILL)

        with pytest.raises(ArmBatchError, match="a process of this run was lost"):
            pipeline.upscale(spec, kill, helpers=helpers)
    assert pipeline.upscale(spec, silent).failed == 7


def test_an_error_of_progress_leaves_no_process(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Helpers] = []
    original = Helpers.grow

    def grow(helpers: Helpers, count: int) -> None:
        original(helpers, count)
        started.extend([helpers] * bool(helpers.all))
        processes.extend(helper._process for helper in helpers.all)

    processes: list[object] = []
    monkeypatch.setattr(Helpers, "grow", grow)

    def fail(progress: Progress) -> None:
        if (progress.stage, progress.shards_done) == ("run", 1):
            raise RuntimeError("progress")

    with pytest.raises(RuntimeError, match=r"^progress$"):
        pipeline.upscale(replanned(job(archive, tmp_path / "out", shard_images=2), workers=2), fail)
    assert processes
    assert all(process.poll() is not None for process in processes)  # type: ignore[attr-defined]
