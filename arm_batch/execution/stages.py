"""The stages of a shard after planning, as plain functions: every executor calls these and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.arrays import Indices
from arm_batch.execution.batches import assign_images, interpolated
from arm_batch.execution.cutting import Prepared, cut_shard
from arm_batch.execution.messages import JobContext, RunBatch, ShardHead
from arm_batch.execution.rows import copied_record
from arm_batch.execution.stitching import Outputs, stitch_images
from arm_batch.execution.streaming import upscale_large
from arm_batch.runstate.commit import Commit
from arm_batch.runstate.plan_files import read_plan
from arm_batch.runstate.rows import ImageRecord
from arm_batch.runstate.shard_plan import ImagePlan, ShardId, ShardPlan, left_to
from arm_batch.runstate.shard_writer import write_shard


def prepare_shard(context: JobContext, shard: ShardId, share: ShardAllocation) -> Prepared:
    """Read the shard's images again and cut the windows of every batch."""
    plan = read_plan(context.output, shard)
    return cut_shard(context, plan, assign_images(context, plan, share))


def stitch_shard(
    context: JobContext, head: ShardHead, share: ShardAllocation, outputs: Outputs
) -> list[ImageRecord]:
    """Stitch and encode the images of a shard.

    Args:
        context: of the run.
        head: of the shard.
        share: of the shard.
        outputs: of each batch, in the order of `list_batches`.

    Returns:
        One row per image that is no copy, in plan order.
    """
    return stitch_images(context, head, assign_images(context, head.plan, share), outputs)


def upscale_image(
    context: JobContext, shard: ShardId, share: ShardAllocation, position: int, run: RunBatch
) -> ImageRecord:
    """One image of a shard by itself, from reading to encoding: the same bytes as among its mates.

    Of a large image the row names the file that waits for the commit.
    """
    plan = read_plan(context.output, shard)
    assigned = assign_images(context, plan, share)[position : position + 1]
    return upscale_images(context, replace(plan, images=plan.images[position : position + 1]), assigned, run)[0]


def upscale_images(
    context: JobContext, plan: ShardPlan, assigned: Sequence[Indices], run: RunBatch
) -> list[ImageRecord]:
    """Images of a shard, from reading to encoding: the same bytes as among all of it.

    Args:
        context: of the run.
        plan: of the shard, with these images alone.
        assigned: the subnet of each tile of each of them.
        run: upscales a batch.

    Returns:
        One row per image that is no copy, in order. Of a large image it names the file that waits for the commit.
    """
    if context.has_large(plan):
        each = [(image, own) for image, own in zip(plan.images, assigned, strict=True) if not image.entry.copy_of]
        return [_upscale_alone(context, plan, image, own, run) for image, own in each]
    prepared = cut_shard(context, plan, assigned)
    return stitch_images(context, prepared.head, assigned, run_batches(prepared, run))


def _upscale_alone(
    context: JobContext, plan: ShardPlan, image: ImagePlan, subnets: Indices, run: RunBatch
) -> ImageRecord:
    if context.is_large(image):
        return upscale_large(context, plan.id, image, subnets, run)
    return upscale_images(context, replace(plan, images=(image,)), [subnets], run)[0]


def interpolate_image(context: JobContext, plan: ShardPlan, position: int) -> ImageRecord:
    """One image of a shard without any net, from reading to encoding: the work there is beside the nets."""
    image = plan.images[position]
    alone = replace(plan, images=(image,))
    assigned = [interpolated(context, image)]
    return stitch_images(context, cut_shard(context, alone, assigned).head, assigned, [])[0]


def run_batches(prepared: Prepared, run: RunBatch) -> Outputs:
    """Upscale all batches of a shard, one after the other."""
    return [run(batch.subnet, cut) for batch, cut in zip(prepared.batches, prepared.windows, strict=True)]


def commit_shard(
    context: JobContext, plan: ShardPlan, records: Sequence[ImageRecord], attempt: str, revision: int
) -> Commit:
    """Write a shard's rows and commit them.

    Args:
        context: of the run.
        plan: of the shard.
        records: rows of its images that are no copies, in plan order.
        attempt: a name that no other attempt at it has.
        revision: of the allocation that it was done by.
    """
    rows: dict[str, ImageRecord] = {}
    given = iter(records)
    for image in plan.images:
        first = image.entry.copy_of
        rows[image.entry.path] = next(given) if first is None else copied_record(context, image, rows[first])
    left = {image.entry.path: retry for image in plan.images if (retry := left_to(image)) is not None}
    return write_shard(
        context.output,
        plan.id,
        list(rows.values()),
        context.sink,
        attempt,
        plan.origin,
        plan.passthrough,
        left,
        revision,
    )
