"""Workers, actors and images that die under a run on Ray: it ends with the rows of an undisturbed one."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pytest
import ray

from arm_batch import open_dataset, pipeline
from arm_batch.core.progress import Progress
from arm_batch.errors import ArmBatchError, StoppedError
from arm_batch.execution.ray import actor_pool
from arm_batch.execution.ray.faults import TRIES
from arm_batch.execution.ray.named_actor import NAMESPACE
from arm_batch.inputs.dedup import put_duplicates_behind
from arm_batch.inputs.sources import Entry, Source
from arm_batch.runstate.commit import listed
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.verify import verify_store
from arm_batch.storage.local import LocalStore
from tests.archives import draw, job, replanned, silent, write_png
from tests.faults.sources import HarmfulSource
from tests.processes import ray_workers

IMAGES = 12


@pytest.fixture(scope="module")
def harm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where harmful images note what they did."""
    return tmp_path_factory.mktemp("harm")


@pytest.fixture(scope="module")
def cluster(harm: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARM_BATCH_TEST_HARM", str(harm))
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
        )
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for seed in range(IMAGES):
        write_png(folder / f"{seed:02d}.png", draw(seed, 40 + seed, 90))
    return folder


@pytest.fixture(scope="module")
def reference(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    output = tmp_path_factory.mktemp("reference") / "out"
    pipeline.upscale(job(archive, output, shard_images=1), silent)
    return rows(output)


def rows(output: Path) -> pa.Table:
    return open_dataset(str(output)).to_table().sort_by("path")


def assert_whole(output: Path) -> None:
    store = LocalStore(str(output))
    found = verify_store(store, list_generations(store))
    assert (found.problems, found.left) == ((), 0)


def once(stage: str, number: int, act: Callable[[], None]) -> Callable[[Progress], None]:
    """A progress callback that acts when so many shards are through a stage, the first time."""
    acted = False

    def progress(at: Progress) -> None:
        nonlocal acted
        if at.stage == stage and at.shards_done >= number and not acted:
            acted = True
            act()

    return progress


class Killer(Thread):
    """Ends the first workers of a kind that it sees, from beside the run."""

    def __init__(self, name: str) -> None:
        super().__init__(daemon=True)
        self.title = name
        self.killed = 0

    def run(self) -> None:
        while not self.killed:
            for worker in ray_workers():
                if worker.name.startswith(self.title):
                    with suppress(ProcessLookupError):
                        os.kill(worker.pid, signal.SIGKILL)
                        self.killed += 1
            time.sleep(0.005)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("victim", ["UpscaleActor", "prepare_task", "reduce_task", "IDLE", "HolderActor"])
def test_a_run_outlives_its_workers(archive: Path, reference: pa.Table, tmp_path: Path, victim: str) -> None:
    # Titles follow what a worker does at the moment, so a task may have ended when the signal comes.
    killer = Killer(victim)
    spec = job(archive, tmp_path / "out", executor="ray", shard_images=1)
    summary = pipeline.upscale(spec, once("run", 0, killer.start))
    assert killer.killed
    assert summary.failed == 0
    assert rows(tmp_path / "out").equals(reference)
    assert_whole(tmp_path / "out")


@pytest.mark.usefixtures("cluster")
def test_a_run_outlives_its_budget_actor_and_the_actors_name(
    archive: Path, reference: pa.Table, tmp_path: Path
) -> None:
    def kill() -> None:
        (name,) = (a["name"] for a in ray.util.list_named_actors(all_namespaces=True) if "budget" in a["name"])
        ray.kill(ray.get_actor(name, namespace=NAMESPACE), no_restart=True)

    summary = pipeline.upscale(
        job(archive, tmp_path / "out", executor="ray", shard_images=1), once("run", 1, kill)
    )
    assert rows(tmp_path / "out").equals(reference)
    assert summary.spent_flops == sum(rows(tmp_path / "out")["flops"].to_pylist()) <= summary.budget_flops


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("stage", ["plan", "run"])
@pytest.mark.parametrize("kind", ["kill", "memory", "bug"])
def test_an_image_that_takes_its_worker_down_costs_only_itself(
    tmp_path: Path, harm: Path, monkeypatch: pytest.MonkeyPatch, stage: str, kind: str
) -> None:
    monkeypatch.setattr("arm_batch.inputs.listing.Source", HarmfulSource)
    name = f"{kind}-{stage}.png"
    archive = tmp_path / "in"
    for seed, path in enumerate(["a.png", "b.png", name, "z.png"]):
        write_png(archive / path, draw(seed, 50, 70))
    (harm / "asleep").touch()
    pipeline.upscale(job(archive, tmp_path / "whole", shard_images=4), silent)
    if stage == "plan":
        (harm / "asleep").unlink()
    wake = once("run", 0, lambda: (harm / "asleep").unlink(missing_ok=True))
    summary = pipeline.upscale(job(archive, tmp_path / "out", executor="ray", shard_images=4), wake)
    found = {row["path"]: row for row in rows(tmp_path / "out").to_pylist()}
    told = {"kill": "WorkerCrashedError", "memory": "MemoryError", "bug": "KeyError"}[kind]
    assert found[name]["status"] == "failed"
    assert f"takes its worker down ({TRIES} tries)" in found[name]["error"]
    assert told in found[name]["error"]
    # With its shard first, then alone.
    assert len((harm / name).read_text()) == 2 * TRIES
    assert (summary.images, summary.failed) == (4, 1)
    for row in rows(tmp_path / "whole").to_pylist():
        if row["path"] != name and stage == "run":
            assert found[row["path"]] == row
        assert row["path"] == name or found[row["path"]]["status"] == "ok"
    assert_whole(tmp_path / "out")


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("stage", ["plan", "run"])
def test_copies_share_what_becomes_of_images_that_run_alone(
    tmp_path: Path, harm: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def look(source: Source, *arguments: Any) -> list[Entry]:
        # The driver reads images too, and is to live.
        return put_duplicates_behind(Source(source.store), *arguments)

    monkeypatch.setattr("arm_batch.inputs.listing.Source", HarmfulSource)
    monkeypatch.setattr("arm_batch.pipeline.generations.put_duplicates_behind", look)
    archive = tmp_path / "in"
    for seed, path in enumerate(["a.png", "bug.png"]):
        write_png(archive / path, draw(seed, 50, 70))
        shutil.copyfile(archive / path, archive / f"copy of {path}")
        shutil.copyfile(archive / path, archive / f"zz {path}")
    if stage == "run":
        (harm / "asleep").touch()
    wake = once("run", 0, lambda: (harm / "asleep").unlink(missing_ok=True))
    spec = replanned(job(archive, tmp_path / "out", executor="ray", shard_images=6), dedup=True)
    summary = pipeline.upscale(spec, wake)
    assert (summary.images, summary.failed, summary.duplicates) == (6, 3, 4)
    found = {row["path"]: row for row in rows(tmp_path / "out").to_pylist()}
    for path in ("copy of bug.png", "zz bug.png"):
        assert (found[path]["copy_of"], found[path]["error"]) == ("bug.png", found["bug.png"]["error"])
    for path in ("copy of a.png", "zz a.png"):
        assert (found[path]["copy_of"], found[path]["sha256"]) == ("a.png", found["a.png"]["sha256"])
    assert_whole(tmp_path / "out")


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(("stage", "number"), [("plan", 2), ("run", 1)])
def test_a_stop_ends_a_run_before_its_end_and_it_goes_on_later(
    archive: Path, reference: pa.Table, tmp_path: Path, stage: str, number: int
) -> None:
    asked: list[bool] = []
    spec = job(archive, tmp_path / "out", executor="ray", shard_images=1)
    with pytest.raises(StoppedError, match="run the same command again"):
        pipeline.upscale(spec, once(stage, number, lambda: asked.append(True)), lambda: bool(asked))
    assert len(listed(LocalStore(str(tmp_path / "out")))) < IMAGES
    pipeline.upscale(spec, silent)
    assert rows(tmp_path / "out").equals(reference)
    assert_whole(tmp_path / "out")


@pytest.mark.usefixtures("cluster")
def test_workers_that_cannot_start_end_the_run(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @ray.remote
    class Stillborn:
        def __init__(self, *_: object) -> None:
            os._exit(1)

        def ready(self) -> None: ...

    monkeypatch.setattr(actor_pool, "UpscaleActor", Stillborn)
    with pytest.raises(ArmBatchError, match="die while they start"):
        pipeline.upscale(job(archive, tmp_path / "out", executor="ray"), silent)
