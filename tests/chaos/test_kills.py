"""Runs that are killed again and again, at points chosen and at random; finished, it is as if nothing had been."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from ray.cluster_utils import Cluster

from arm_batch import pipeline
from arm_batch.spec import JobSpec, Sink
from tests.archives import job, replanned, silent
from tests.chaos.runs import KILLED, SHARD_IMAGES, assert_as_undisturbed, start, start_dying
from tests.processes import ray_workers

Scale = Callable[[int, int], int]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * 3600)]


@pytest.fixture
def spec(archive: Path, tmp_path: Path) -> JobSpec:
    return job(archive, tmp_path / "out", shard_images=SHARD_IMAGES)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_each_write_in_turn(
    spec: JobSpec, tmp_path: Path, reference: pa.Table, late: bool, workers: int
) -> None:
    """Each start dies one write further on than the last, until one is not killed any more."""
    spec = replanned(spec, workers=workers)
    deaths = 0
    while True:
        process = start_dying(spec, deaths + 1, late)
        process.join()
        if process.exitcode != KILLED:
            break
        deaths += 1
        # From a fresh output every other time, so that first attempts die everywhere too.
        if deaths % 2:
            spec = replace(spec, output=str(tmp_path / f"out-{deaths}"))
    assert process.exitcode == 0
    assert deaths > 10
    assert_as_undisturbed(spec, reference)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("sink", ["parquet", "files", "webdataset"])
def test_killed_at_random_in_process(
    spec: JobSpec, tmp_path: Path, reference: pa.Table, scale: Scale, sink: Sink, workers: int
) -> None:
    _kill_at_random(
        replanned(replace(spec, sink=sink), workers=workers), tmp_path, reference, scale(8, 60), lambda pid, _: pid
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield nodes
    nodes.shutdown()


def test_killed_at_random_on_ray(
    spec: JobSpec, tmp_path: Path, reference: pa.Table, scale: Scale, cluster: Cluster
) -> None:
    head: Any = cluster.head_node
    (raylet,) = head.all_processes["raylet"]

    def driver_or_worker(driver: int, dice: random.Random) -> int:
        workers = _workers_of(raylet.process.pid)
        return driver if not workers or dice.random() < 0.5 else dice.choice(workers)

    spec = replanned(spec, executor="ray")
    environment = {"RAY_ADDRESS": cluster.address}
    _kill_at_random(spec, tmp_path, reference, scale(4, 80), driver_or_worker, environment)


def _workers_of(raylet: int) -> list[int]:
    """Processes of tasks and actors on a node; with an agent of Ray's own the whole node would go."""
    return [worker.pid for worker in ray_workers() if worker.raylet == raylet and "Agent" not in worker.name]


def _kill_at_random(
    spec: JobSpec,
    tmp_path: Path,
    reference: pa.Table,
    kills: int,
    victim: Callable[[int, random.Random], int],
    environment: dict[str, str] | None = None,
) -> None:
    """Kill so many times; a run that ends in between is checked, and another begun."""
    dice = random.Random(1)
    started = time.monotonic()
    pipeline.upscale(replanned(replace(spec, output=str(tmp_path / "timed")), executor="inline"), silent)
    usual_s = (time.monotonic() - started) * (3 if spec.plan.executor == "ray" else 1)
    done = runs = 0
    while done < kills:
        process = start(spec, environment)
        while process.is_alive() and done < kills:
            process.join(dice.uniform(0, usual_s))
            if process.is_alive():
                try:
                    os.kill(victim(process.pid or 0, dice), signal.SIGKILL)
                    done += 1
                except ProcessLookupError:
                    continue
        process.join()
        assert process.exitcode in (0, KILLED)
        if process.exitcode == 0:
            assert_as_undisturbed(spec, reference)
            runs += 1
            spec = replace(spec, output=str(tmp_path / f"out-{runs}"))
    last = start(spec, environment)
    last.join()
    assert last.exitcode == 0
    assert_as_undisturbed(spec, reference)
    print(f"{done} kills, {runs + 1} runs ended as if nothing had been")
