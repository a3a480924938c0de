"""The stages of a shard after planning, as plain functions: every executor calls these and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.arrays import Indices, Pixels
from arm_batch.core.tiling.grid import take
from arm_batch.errors import ImageError
from arm_batch.execution.batches import assign_images, interpolated, list_batches
from arm_batch.execution.messages import Batch, ImageHeader, JobContext, RunBatch, ShardHead
from arm_batch.execution.rows import copied_record
from arm_batch.execution.stitching import Outputs, stitch_images
from arm_batch.execution.streaming import upscale_large
from arm_batch.images import Metadata, Picture, decode
from arm_batch.runstate.commit import Commit
from arm_batch.runstate.plan_files import read_plan
from arm_batch.runstate.rows import ImageRecord
from arm_batch.runstate.shard_plan import ImagePlan, ShardId, ShardPlan, left_to
from arm_batch.runstate.shard_writer import write_shard


@dataclass(frozen=True)
class Prepared:
    """A shard whose pixels are read and cut.

    Attributes:
        head: what the last stage needs.
        batches: see `list_batches`.
        windows: for each batch, for each of its pieces, the LR windows.
    """

    head: ShardHead
    batches: list[Batch]
    windows: list[list[Pixels]]


def prepare_shard(context: JobContext, shard: ShardId, share: ShardAllocation) -> Prepared:
    """Read the shard's images again and cut the windows of every batch."""
    plan = read_plan(context.output, shard)
    return _cut(context, plan, assign_images(context, plan, share))


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
    prepared = _cut(context, plan, assigned)
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
    return stitch_images(context, _cut(context, alone, assigned).head, assigned, [])[0]


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


def _cut(context: JobContext, plan: ShardPlan, assigned: Sequence[Indices]) -> Prepared:
    batches = list_batches(assigned, len(context.ladder.subnets))
    headers = []
    # What an image that can no longer be read leaves in its place.
    nothing = np.empty((0, context.ladder.grid.window, context.ladder.grid.window, 1), np.uint8)
    windows: list[list[Pixels]] = [[nothing] * len(batch.pieces) for batch in batches]
    contents = context.source.contents(image.entry for image in plan.images if _is_read(image))
    for position, image in enumerate(plan.images):
        if image.entry.copy_of is not None:
            headers.append(_header_of_none(nothing, None))
            continue
        try:
            picture = _decode_planned(context, image, contents)
        except ImageError as error:
            headers.append(_header_of_none(nothing, str(error)))
            continue
        pixels, planes, metadata = picture.pixels, picture.planes, picture.metadata
        cells = context.ladder.grid.windows(pixels)
        for batch, cut in zip(batches, windows, strict=True):
            for place, piece in enumerate(batch.pieces):
                if piece.image == position:
                    cut[place] = take(cells, piece.tiles)
        interpolated = take(cells, np.flatnonzero(assigned[position] == 0))
        kind = str(pixels.dtype)
        headers.append(
            ImageHeader(
                channels=pixels.shape[2],
                dtype=kind,
                interpolated=interpolated,
                planes=planes,
                has_alpha=picture.has_alpha,
                metadata=metadata,
                error=None,
            )
        )
    return Prepared(ShardHead(plan, tuple(headers)), batches, windows)


def _header_of_none(nothing: Pixels, error: str | None) -> ImageHeader:
    """Of an image without pixels here: a copy of another, or one that cannot be read, and why."""
    return ImageHeader(
        channels=0,
        dtype="uint8",
        interpolated=nothing,
        planes=nothing,
        has_alpha=False,
        metadata=Metadata(),
        error=error,
    )


def _is_read(image: ImagePlan) -> bool:
    return image.error is None and image.entry.copy_of is None


def _decode_planned(context: JobContext, image: ImagePlan, contents: Iterator[Callable[[], bytes]]) -> Picture:
    """An image whose turn it is, of those that `_is_read` names; another fails as it did when it was planned."""
    if image.error is not None:
        raise ImageError(image.error)
    picture = decode(next(contents)(), context.reading)
    if picture.pixels.shape[:2] != (image.height, image.width):
        raise ImageError("changed since it was planned")
    return picture
