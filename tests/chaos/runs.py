"""Runs in processes of their own, which can be killed; and what must hold once one has ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import pyarrow as pa

import arm_batch.pipeline.job as job_module
from arm_batch import open_dataset, pipeline
from arm_batch.runstate.allocation import allocation_key, tables_of
from arm_batch.runstate.commit import committed
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.verify import verify_store
from arm_batch.spec import JobSpec
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.local import LocalStore
from arm_batch.storage.open import open_store
from tests.archives import silent

IMAGES = 63
SHARD_IMAGES = 7

T = TypeVar("T")

KILLED = -signal.SIGKILL


def start(spec: JobSpec, environment: dict[str, str] | None = None) -> BaseProcess:
    """Start a run in a process that has imported everything already."""
    process = multiprocessing.get_context("forkserver").Process(target=_run, args=(spec, environment or {}))
    process.start()
    return process


def _run(spec: JobSpec, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    pipeline.upscale(spec, silent)


def rows(url: str, endpoint_url: str | None = None) -> pa.Table:
    """The rows that count, by path."""
    return open_dataset(url, endpoint_url=endpoint_url).to_table().sort_by("path")


def assert_as_undisturbed(spec: JobSpec, reference: pa.Table) -> None:
    """The rows are those of the reference, byte for byte; the spend is that of the records; no orphan is left."""
    store = open_store(spec.output, spec.plan.endpoint_url)
    # ETags differ between stores, and between two copies of a folder.
    found_rows, reference = (
        table.drop("source_etag") for table in (rows(spec.output, spec.plan.endpoint_url), reference)
    )
    if spec.sink != "parquet":
        # The images lie beside the rows, where their hashes are checked below.
        found_rows, reference = found_rows.drop("image"), reference.drop("image")
    assert found_rows.equals(reference)
    found = verify_store(store, list_generations(store))
    assert (found.problems, found.left) == ((), 0)
    spent = sum(commit.flops for commit in committed(store).values())
    assert spent == sum(reference["flops"].to_pylist())
    assert leftovers(store) == []


def leftovers(store: ObjectStore) -> list[str]:
    """Files in the output that a complete run has no use for."""
    (generation,) = list_generations(store)
    commits = committed(store).values()
    named = {key for commit in commits for key in commit.files()}
    named |= {generation.listing, *tables_of(store, generation), allocation_key(generation)}
    named |= {"plan/g0000/generation.json", "manifest.json", "run.json"}
    keys = [info.key for info in store.list()]
    if isinstance(store, LocalStore):
        keys += [str(path) for path in store.path("data").parent.rglob(".arm-batch-*")]
    folders = ("attempts/", "commits/", "images/", "plan/g0000/shards/", "probe-")
    return [key for key in keys if key not in named and not key.startswith(folders)]


class DyingStore(LocalStore):
    """A local store that ends its process at one of its writes, before it or right after."""

    writes = 0
    death = 0
    late = False

    def write(self, key: str, data: bytes) -> None:
        """See `ObjectStore`."""
        self._mortal(super().write, key, data)

    def create(self, key: str, data: bytes) -> bool:
        """See `ObjectStore`."""
        return self._mortal(super().create, key, data)

    def delete(self, key: str) -> None:
        """See `ObjectStore`."""
        self._mortal(super().delete, key)

    def _mortal(self, effect: Callable[..., T], *arguments: Any) -> T:
        DyingStore.writes += 1
        last = DyingStore.writes == DyingStore.death
        if last and not DyingStore.late:
            os.kill(os.getpid(), signal.SIGKILL)
        result = effect(*arguments)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def start_dying(spec: JobSpec, death: int, late: bool) -> BaseProcess:
    """Start a run that ends itself at its `death`-th write to the output."""
    process = multiprocessing.get_context("forkserver").Process(target=_run_dying, args=(spec, death, late))
    process.start()
    return process


def _run_dying(spec: JobSpec, death: int, late: bool) -> None:
    DyingStore.death, DyingStore.late = death, late
    setattr(job_module, "open_store", lambda url, _endpoint=None: DyingStore(str(url)))  # noqa: B010
    pipeline.upscale(spec, silent)
