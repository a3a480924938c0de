"""Starting the executor that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from arm_batch.nets.ladder_files import LadderFiles
from arm_batch.runtime.cluster import connected
from arm_batch.runtime.executor import Executor
from arm_batch.runtime.inline import InlineExecutor
from arm_batch.runtime.ray_executor import RayExecutor
from arm_batch.runtime.ray_pool import cluster_kinds
from arm_batch.runtime.work import JobContext
from arm_batch.spec import ExecutorName


@contextmanager
def started(
    name: ExecutorName, context: JobContext, files: LadderFiles, workers: int | None, at_once: bool = True
) -> Iterator[Executor]:
    """The executor called `name`, given back at the end; see `RayExecutor`."""
    if name == "inline":
        yield InlineExecutor(context, files)
        return
    with connected():
        executor = RayExecutor(context, files, cluster_kinds(workers), at_once)
        try:
            yield executor
        finally:
            executor.close()
