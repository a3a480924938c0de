"""Starting the executor that was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from arm_batch.execution.choice import choose_executor, workers_here
from arm_batch.execution.helpers import Helpers
from arm_batch.execution.inline import InlineExecutor
from arm_batch.execution.messages import JobContext
from arm_batch.execution.protocol import Executor
from arm_batch.models.ladder_files import LadderFiles
from arm_batch.runstate.shard_plan import Shard
from arm_batch.spec import PlanSpec


@contextmanager
def started(
    plan: PlanSpec, context: JobContext, files: LadderFiles, first: Sequence[Shard], helpers: Helpers
) -> Iterator[Executor]:
    """The executor that a plan asks for, given back at the end; see `RayExecutor` and `InlineExecutor`.

    Args:
        plan: what is asked for.
        context: of the run.
        files: the ladder.
        first: what it will be asked to plan first; a few shards are planned while a cluster starts.
        helpers: of this process, as far as they are started.
    """
    if choose_executor(plan.executor).executor == "inline":
        inline = InlineExecutor(context, files, workers_here(plan.workers), helpers)
        try:
            yield inline
        finally:
            inline.close()
        return
    # Ray takes a second to load.
    from arm_batch.pipeline.cluster import started_on_ray

    with started_on_ray(context, files, plan.workers, first) as on_ray:
        yield on_ray
