"""The Ray tasks and the budget actor: thin wrappers around the stages and the budget.

Nothing here needs torch, so the processes that only read and write images start without it. Ray repeats no task of
a shard by itself: the driver does, because it has to count how often a shard has taken its worker down.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import ray

from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.tiling.grid import Upscaled
from arm_batch.execution.messages import JobContext, ShardHead, ShardSummary
from arm_batch.execution.planning import plan_image, plan_shards, planned_summary
from arm_batch.execution.profiling import HostSample, Sampled, measure_host_overhead
from arm_batch.execution.rows import failed_record
from arm_batch.execution.stages import commit_shard, prepare_shard, stitch_shard
from arm_batch.inputs.sources import Entry
from arm_batch.runstate.commit import Commit
from arm_batch.runstate.plan_files import read_plan
from arm_batch.runstate.rows import ImageRecord
from arm_batch.runstate.shard_plan import ImagePlan, Shard, ShardId

SHARE_OF_A_CORE = 0.5
"""What a task and a CPU actor each reserve: on every core one of either can run, so that neither
starves the other; the net takes what decoding and encoding leave."""


@ray.remote(num_cpus=SHARE_OF_A_CORE, max_retries=0)
def plan_task(context: JobContext, shard: Shard) -> ShardSummary:
    """Plan one shard; only the summary goes to the driver."""
    (summary,) = plan_shards(context, [shard])
    return summary


@ray.remote(num_cpus=SHARE_OF_A_CORE, max_retries=0)
def plan_image_task(context: JobContext, entry: Entry, output: str) -> ImagePlan:
    """Plan one image by itself."""
    return plan_image(context, entry, output)


@ray.remote(num_cpus=SHARE_OF_A_CORE)
def summarize_task(context: JobContext, shards: Sequence[ShardId]) -> list[ShardSummary]:
    """Read kept plans."""
    return [planned_summary(context, shard) for shard in shards]


@ray.remote(num_cpus=SHARE_OF_A_CORE, max_retries=0)
def host_overhead_task(context: JobContext, shard: Sampled) -> HostSample:
    """Measure the work beside the nets on a shard."""
    return measure_host_overhead(context, shard)


@ray.remote(num_cpus=SHARE_OF_A_CORE, max_retries=0)
def prepare_task(context: JobContext, shard: ShardId, share: ShardAllocation) -> Any:
    """The head, then the windows of each batch as a return value of its own, or the head alone."""
    prepared = prepare_shard(context, shard, share)
    return (prepared.head, *prepared.windows) if prepared.windows else prepared.head


@ray.remote(num_cpus=SHARE_OF_A_CORE, max_retries=0)
def reduce_task(
    context: JobContext, share: ShardAllocation, head: ShardHead, *outputs: Sequence[Upscaled]
) -> Commit:
    """Stitch, encode, write and commit one shard."""
    records = stitch_shard(context, head, share, outputs)
    return commit_shard(context, head.plan, records, uuid.uuid4().hex, share.revision)


@ray.remote(num_cpus=SHARE_OF_A_CORE)
def commit_task(
    context: JobContext, shard: ShardId, revision: int, poisonous: Mapping[int, str], *records: ImageRecord
) -> Commit:
    """Commit a shard whose images were upscaled one by one.

    Args:
        context: of the run.
        shard: which.
        revision: of the allocation that it was done by.
        poisonous: position and error of each image that could not be, because it took its worker down.
        records: rows of the others, in plan order, without copies.
    """
    plan = read_plan(context.output, shard)
    rest = iter(records)
    rows = [
        failed_record(context, image, poisonous[position]) if position in poisonous else next(rest)
        for position, image in enumerate(plan.images)
        if image.entry.copy_of is None
    ]
    return commit_shard(context, plan, rows, uuid.uuid4().hex, revision)
