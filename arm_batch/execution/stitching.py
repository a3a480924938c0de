"""The end of images on their way: tiles become pictures, pictures become files, and files rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from arm_batch.core.arrays import Indices
from arm_batch.core.tiling.grid import Stitcher, Upscaled
from arm_batch.core.tiling.interpolation import enlarge_planes, interpolate_tiles
from arm_batch.errors import ImageError
from arm_batch.execution.batches import list_batches
from arm_batch.execution.messages import ImageHeader, JobContext, ShardHead
from arm_batch.execution.rows import Encoded, done_record, failed_record, note_of_not_finite
from arm_batch.execution.world_files import world_sidecar
from arm_batch.images import Picture, encode, fit_metadata
from arm_batch.metadata import enlarge_metadata
from arm_batch.runstate.rows import ImageRecord, StoredImage
from arm_batch.runstate.shard_plan import ImagePlan
from arm_batch.runstate.sinks import SINKS

Outputs = Sequence[Sequence[Upscaled]]
"""For each batch of a shard, for each of its pieces, the upscaled tiles."""


def stitch_images(
    context: JobContext, head: ShardHead, assigned: Sequence[Indices], outputs: Outputs
) -> list[ImageRecord]:
    """Stitch and encode images; one row for each that is no copy, in order.

    Args:
        context: of the run.
        head: of their shard, with these images alone.
        assigned: the subnet of each tile of each of them.
        outputs: of each batch, in the order of `list_batches`.
    """
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
