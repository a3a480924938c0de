"""The stages of a shard after planning, as plain functions: every executor calls these and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.arrays import Indices
from arm_batch.core.tiling.grid import Stitcher, Upscaled
from arm_batch.core.tiling.interpolation import enlarge_planes, interpolate_tiles
from arm_batch.errors import ImageError
from arm_batch.execution.batches import assign_images, interpolated, list_batches
from arm_batch.execution.cutting import Prepared, cut_shard
from arm_batch.execution.messages import ImageHeader, JobContext, RunBatch, ShardHead
from arm_batch.execution.rows import Encoded, copied_record, done_record, failed_record, note_of_not_finite
from arm_batch.execution.streaming import upscale_large
from arm_batch.execution.world_files import world_sidecar
from arm_batch.images import Picture, encode, fit_metadata
from arm_batch.metadata import enlarge_metadata
from arm_batch.runstate.commit import Commit
from arm_batch.runstate.plan_files import read_plan
from arm_batch.runstate.rows import ImageRecord, StoredImage
from arm_batch.runstate.shard_plan import ImagePlan, ShardId, ShardPlan, left_to
from arm_batch.runstate.shard_writer import write_shard
from arm_batch.runstate.sinks import SINKS

Outputs = Sequence[Sequence[Upscaled]]
"""For each batch of a shard, for each of its pieces, the upscaled tiles."""


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
    return _stitch_all(context, head, assign_images(context, head.plan, share), outputs)


def upscale_image(
    context: JobContext, shard: ShardId, share: ShardAllocation, position: int, run: RunBatch
) -> ImageRecord:
    """One image of a shard by itself, from reading to encoding: the same bytes as among its mates.

    Of a large image the row names the file that waits for the commit.
    """
    plan = read_plan(context.output, shard)
    assigned = assign_images(context, plan, share)[position : position + 1]
    if context.is_large(plan.images[position]):
        return upscale_large(context, shard, plan.images[position], assigned[0], run)
    alone = replace(plan, images=plan.images[position : position + 1])
    prepared = cut_shard(context, alone, assigned)
    outputs = run_batches(prepared, run)
    return _stitch_all(context, prepared.head, assigned, outputs)[0]


def interpolate_image(context: JobContext, plan: ShardPlan, position: int) -> ImageRecord:
    """One image of a shard without any net, from reading to encoding: the work there is beside the nets."""
    image = plan.images[position]
    alone = replace(plan, images=(image,))
    assigned = [interpolated(context, image)]
    return _stitch_all(context, cut_shard(context, alone, assigned).head, assigned, [])[0]


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


def _stitch_all(
    context: JobContext, head: ShardHead, assigned: Sequence[Indices], outputs: Outputs
) -> list[ImageRecord]:
    batches = list_batches(assigned, len(context.ladder.subnets))
    records = []
    for position, (image, header) in enumerate(zip(head.plan.images, head.headers, strict=True)):
        if image.entry.copy_of is not None:
            continue
        placed = [
            (piece.tiles, upscaled)
            for batch, results in zip(batches, outputs, strict=True)
            for piece, upscaled in zip(batch.pieces, results, strict=True)
            if piece.image == position
        ]
        try:
            if header.error is not None:
                raise ImageError(header.error)
            picture = _stitch(context, image, header, np.flatnonzero(assigned[position] == 0), placed)
            records.append(_done(context, image, assigned[position], picture))
        except ImageError as error:
            records.append(failed_record(context, image, str(error)))
    return records


def _stitch(
    context: JobContext,
    image: ImagePlan,
    header: ImageHeader,
    interpolated: Indices,
    placed: Sequence[tuple[Indices, Upscaled]],
) -> Picture:
    ladder = context.ladder
    dtype = np.dtype(header.dtype)
    stitcher = Stitcher(ladder.grid, image.height, image.width, header.channels, dtype, ladder.scale)
    stitcher.add(interpolated, interpolate_tiles(header.interpolated, ladder.grid, ladder.scale))
    for tiles, upscaled in placed:
        stitcher.add(tiles, upscaled.pixels)
    planes = enlarge_planes(header.planes, ladder.scale)
    metadata = header.metadata.stripped() if context.writing.strip_metadata else header.metadata
    metadata = enlarge_metadata(metadata, ladder.scale, image.width * ladder.scale, image.height * ladder.scale)
    notes = image.notes + note_of_not_finite(sum(upscaled.not_finite for _, upscaled in placed))
    return Picture(
        pixels=stitcher.image(), planes=planes, has_alpha=header.has_alpha, metadata=metadata, notes=notes
    )


def _done(context: JobContext, image: ImagePlan, subnets: Indices, picture: Picture) -> ImageRecord:
    assert image.format is not None
    sidecar, told = world_sidecar(context, image, picture.metadata, SINKS[context.sink].place is not None)
    picture = fit_metadata(picture, image.format)
    data = encode(picture, image.format, context.writing.quality)
    channels = picture.pixels.shape[2] + picture.planes.shape[2]
    stored, sha256 = StoredImage(data, image.output), hashlib.sha256(data).hexdigest()
    encoded = Encoded(
        stored=stored,
        sha256=sha256,
        channels=channels,
        bit_depth=8 * picture.pixels.itemsize,
        notes=picture.notes + told,
    )
    return replace(done_record(context, image, subnets, encoded), sidecar=sidecar)
