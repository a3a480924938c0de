"""Starting the executor on a Ray cluster. Here alone a run loads Ray."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from arm_batch.execution.messages import JobContext
from arm_batch.execution.plan_ahead import MOST_SHARDS, planning_ahead
from arm_batch.execution.protocol import Executor
from arm_batch.execution.ray.actor_pool import cluster_kinds
from arm_batch.execution.ray.cluster import connected, is_connected
from arm_batch.execution.ray.executor import RayExecutor
from arm_batch.models.ladder_files import LadderFiles
from arm_batch.runstate.shard_plan import Shard


@contextmanager
def started_on_ray(
    context: JobContext, files: LadderFiles, workers: int | None, first: Sequence[Shard]
) -> Iterator[Executor]:
    """The executor on the cluster that is named, or else on one that is started here; given back at the end.

    Args:
        context: of the run.
        files: the ladder.
        workers: how many CPU actors; None for one per core.
        first: what it will be asked to plan first; a few shards are planned while a cluster starts.
    """
    few = first if len(first) <= MOST_SHARDS and not is_connected() else ()
    with planning_ahead(context, few) as ahead, connected():
        executor = RayExecutor(context, files, cluster_kinds(workers), ahead)
        try:
            yield executor
        finally:
            executor.close()
