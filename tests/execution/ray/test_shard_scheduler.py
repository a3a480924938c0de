"""The queue between kinds of device: who takes from which end, in which order; and the same bytes from all."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from arm_batch import open_dataset, pipeline
from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.allocation.lp import Pool
from arm_batch.execution.batches import BATCH_TILES
from arm_batch.execution.ray import shard_scheduler
from arm_batch.execution.ray.actor_pool import CALLS_PER_ACTOR, DeviceKind
from arm_batch.execution.ray.profiling import queue_ranks
from arm_batch.execution.ray.shard_scheduler import ShardFlow
from arm_batch.execution.speed_cache import cache_file
from arm_batch.runstate.shard_plan import ShardId
from tests.archives import job, make_archive, silent

SLOW, FAST = DeviceKind("cpu", "cpu", 1), DeviceKind("cpu2", "cpu", 1, threads=2)

CPU = Pool(kind="cpu", devices=4, seconds=np.array([0.0, 1.0, 2.0, 4.0]))
GPU = Pool(kind="gpu", devices=1, seconds=np.array([0.0, 0.01, 0.5, 0.1]))
"""Ahead by 100, 4 and 40."""


class FakeRemote:
    """Stands for a task or an actor's method; calls are noted."""

    def __init__(self, note: Any, returns: int) -> None:
        self._note = note
        self._returns = returns

    def options(self, num_returns: int) -> FakeRemote:
        return FakeRemote(self._note, num_returns)

    def remote(self, *arguments: object) -> object:
        self._note(arguments)
        refs = [object() for _ in range(self._returns)]
        return refs if self._returns > 1 else refs[0]


class FakeWorker:
    def __init__(self, kind: DeviceKind) -> None:
        self.kind = kind
        self.calls = 0
        self.took: list[int] = []
        self.actor = self
        self.run = FakeRemote(lambda arguments: self.took.append(arguments[1]), 1)


class FakePool:
    def __init__(self, *workers: FakeWorker) -> None:
        self._workers = workers

    def with_room(self) -> Iterator[FakeWorker]:
        for depth in range(CALLS_PER_ACTOR):
            for worker in self._workers:
                if worker.calls <= depth:
                    yield worker

    def is_first_kind(self, worker: FakeWorker) -> bool:
        return worker.kind == self._workers[0].kind


def taken(monkeypatch: pytest.MonkeyPatch, ranks: list[int], *batches: int) -> tuple[list[int], list[int]]:
    """What a CPU and a GPU take first of a queue with so many batches of each subnet."""
    monkeypatch.setattr(shard_scheduler, "prepare_task", FakeRemote(lambda _: None, 1))
    cpu, gpu = FakeWorker(DeviceKind("cpu", "cpu")), FakeWorker(DeviceKind("gpu", "cuda"))
    flow = ShardFlow(object(), [], FakePool(cpu, gpu), ranks)  # type: ignore[arg-type]
    tiles = np.array([[5, *(n * BATCH_TILES for n in batches)]], np.int64)
    flow.start(ShardId(0, 0), ShardAllocation(np.array([0]), tiles))
    flow.dispatch()
    return cpu.took, gpu.took


def test_devices_start_where_they_are_ahead_most(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = queue_ranks([CPU, GPU], 4)
    assert sorted(ranks) == [0, 1, 2, 3]
    assert taken(monkeypatch, ranks, 2, 2, 2) == ([2, 2], [1, 1])
    # The costliest is neither's first choice: it is what they meet at.
    assert taken(monkeypatch, ranks, 1, 1, 1) == ([2, 3], [1])


def test_without_a_second_kind_cost_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for pools in ([], [CPU]):
        assert queue_ranks(pools, 4) == [0, 1, 2, 3]
    assert taken(monkeypatch, [0, 1, 2, 3], 2, 2, 2) == ([1, 1], [3, 3])


def test_two_kinds_of_cpus_give_the_bytes_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_archive(tmp_path / "in")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
    )
    try:
        pipeline.upscale(job(archive, tmp_path / "one", executor="ray", shard_images=2), silent)
        # With one kind of device there is nothing to measure.
        assert not cache_file().exists()
        monkeypatch.setattr("arm_batch.pipeline.cluster.cluster_kinds", lambda _: (SLOW, FAST))
        pipeline.upscale(job(archive, tmp_path / "two", executor="ray", shard_images=2), silent)
    finally:
        ray.shutdown()
    kept = json.loads(cache_file().read_text())
    assert sorted(key.partition(",")[0] for key in kept) == ["cpu", "cpu2"]
    one, two = (open_dataset(str(tmp_path / name)).to_table().sort_by("path") for name in ("one", "two"))
    assert one.equals(two)
