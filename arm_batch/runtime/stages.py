"""The stages of a shard, as plain functions: every executor calls these and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arm_batch.core.allocate import Counts
from arm_batch.core.interpolate import bicubic
from arm_batch.core.share_out import assign
from arm_batch.core.tiles import Pixels, Stitcher, take
from arm_batch.errors import ImageError
from arm_batch.runtime.work import (
    Batch,
    ImageHeader,
    ImagePlan,
    Indices,
    JobContext,
    Piece,
    Shard,
    ShardPlan,
    ShardSummary,
)
from arm_batch.store.codecs import check_encodable, decode, encode
from arm_batch.store.records import ImageRecord, StoredImage, image_id
from arm_batch.store.sinks import Commit, write_part

BATCH_TILES = 256
"""Tiles per actor call: some 13 MB of output at x4, so a call costs far more than its overhead."""

Outputs = Sequence[Sequence[Pixels]]
"""For each batch of a shard, for each of its pieces, the upscaled tiles."""


@dataclass(frozen=True)
class Prepared:
    """A shard whose pixels are read and cut.

    Attributes:
        headers: one per image.
        windows: for each batch, for each of its pieces, the LR windows.
    """

    headers: list[ImageHeader]
    windows: list[list[Pixels]]


def plan_shard(context: JobContext, shard: Shard) -> ShardPlan:
    """Read, decode and score every image of a shard; what cannot be read becomes an error, not a crash."""
    images = []
    for entry, output in zip(shard.entries, shard.outputs, strict=True):
        size = entry.size
        try:
            data = context.source.read(entry)
            size = len(data)
            pixels = decode(data)
            height, width = pixels.shape[:2]
            scale = context.ladder.scale
            check_encodable(height * scale, width * scale, pixels.dtype, context.format)
            scores = context.ladder.scores(pixels)
            images.append(ImagePlan(entry, output, size, height, width, scores, None))
        except ImageError as error:
            images.append(ImagePlan(entry, output, size, 0, 0, context.ladder.no_scores, str(error)))
    return ShardPlan(shard.index, tuple(images))


def summarize(context: JobContext, plan: ShardPlan) -> ShardSummary:
    """What the budget needs of a plan."""
    failed = sum(image.error is not None for image in plan.images)
    return ShardSummary(plan.index, context.ladder.lut.histogram(plan.scores()), len(plan.images), failed)


def assign_images(context: JobContext, plan: ShardPlan, share: Counts) -> list[Indices]:
    """The subnet of each tile of each image; follows from the plan and the shard's share alone."""
    scores = plan.scores()
    subnets = assign(scores[:, 0], context.ladder.lut.bin_of(scores), share)
    return np.split(subnets, np.cumsum([len(image.scores) for image in plan.images])[:-1])


def batch_subnets(share: Counts) -> list[int]:
    """The subnet of each batch that a share leads to, as `list_batches` will cut them."""
    totals = enumerate(share.sum(axis=0).tolist())
    return [subnet for subnet, total in totals if subnet > 0 for _ in range(0, total, BATCH_TILES)]


def list_batches(assigned: Sequence[Indices], n_subnets: int) -> list[Batch]:
    """The batches of a shard: per subnet all its tiles in plan order, cut into runs of `BATCH_TILES`.

    They follow from the plan alone, never from what happened to be ready, so bytes do not depend on timing.
    """
    image_of = np.repeat(np.arange(len(assigned)), [len(a) for a in assigned])
    tile_of = np.concatenate([np.arange(len(a)) for a in assigned])
    subnet_of = np.concatenate(assigned)
    batches = []
    for subnet in range(1, n_subnets):
        members = np.flatnonzero(subnet_of == subnet)
        for start in range(0, len(members), BATCH_TILES):
            run = members[start : start + BATCH_TILES]
            pieces = [Piece(int(i), tile_of[run[image_of[run] == i]]) for i in np.unique(image_of[run])]
            batches.append(Batch(subnet, tuple(pieces)))
    return batches


def prepare_shard(context: JobContext, plan: ShardPlan, share: Counts) -> Prepared:
    """Read the shard's images again and cut the windows of every batch."""
    assigned = assign_images(context, plan, share)
    batches = list_batches(assigned, len(context.ladder.subnets))
    headers = []
    # What an image that can no longer be read leaves in its place.
    nothing = np.empty((0, context.ladder.grid.window, context.ladder.grid.window, 1), np.uint8)
    windows: list[list[Pixels]] = [[nothing] * len(batch.pieces) for batch in batches]
    for position, image in enumerate(plan.images):
        try:
            pixels = _read_planned(context, image)
        except ImageError as error:
            headers.append(ImageHeader(0, "uint8", nothing, str(error)))
            continue
        cells = context.ladder.grid.windows(pixels)
        for batch, cut in zip(batches, windows, strict=True):
            for place, piece in enumerate(batch.pieces):
                if piece.image == position:
                    cut[place] = take(cells, piece.tiles)
        interpolated = take(cells, np.flatnonzero(assigned[position] == 0))
        headers.append(ImageHeader(pixels.shape[2], str(pixels.dtype), interpolated, None))
    return Prepared(headers, windows)


def reduce_shard(
    context: JobContext,
    plan: ShardPlan,
    share: Counts,
    headers: Sequence[ImageHeader],
    outputs: Outputs,
    attempt: str,
) -> Commit:
    """Stitch, encode and write a shard, and commit it.

    Args:
        context: of the run.
        plan: of the shard.
        share: of the shard.
        headers: one per image.
        outputs: of each batch, in the order of `list_batches`.
        attempt: a name that no other attempt at this shard has.

    Returns:
        The commit record that counts: this attempt's, or that of an attempt that came first.
    """
    assigned = assign_images(context, plan, share)
    batches = list_batches(assigned, len(context.ladder.subnets))
    records = []
    for position, (image, header) in enumerate(zip(plan.images, headers, strict=True)):
        placed = [
            (piece.tiles, pixels)
            for batch, results in zip(batches, outputs, strict=True)
            for piece, pixels in zip(batch.pieces, results, strict=True)
            if piece.image == position
        ]
        try:
            if header.error is not None:
                raise ImageError(header.error)
            pixels = _stitch(context, image, header, np.flatnonzero(assigned[position] == 0), placed)
            data = encode(pixels, context.format, context.quality)
            records.append(_done(context, image, assigned[position], data))
        except ImageError as error:
            records.append(_failed(context, image, str(error)))
    return write_part(context.output, plan.index, records, context.sink, attempt)


def _read_planned(context: JobContext, image: ImagePlan) -> Pixels:
    if image.error is not None:
        raise ImageError(image.error)
    pixels = decode(context.source.read(image.entry))
    if pixels.shape[:2] != (image.height, image.width):
        raise ImageError("changed since it was planned")
    return pixels


def _stitch(
    context: JobContext,
    image: ImagePlan,
    header: ImageHeader,
    interpolated: Indices,
    placed: Sequence[tuple[Indices, Pixels]],
) -> Pixels:
    ladder = context.ladder
    dtype = np.dtype(header.dtype)
    stitcher = Stitcher(ladder.grid, image.height, image.width, header.channels, dtype, ladder.scale)
    stitcher.add(interpolated, ladder.grid.crop_halo(bicubic(header.interpolated, ladder.scale), ladder.scale))
    for tiles, pixels in placed:
        stitcher.add(tiles, pixels)
    return stitcher.image()


def _done(context: JobContext, image: ImagePlan, subnets: Indices, data: bytes) -> ImageRecord:
    ladder = context.ladder
    counts = np.zeros((ladder.lut.n_bins, len(ladder.subnets)), np.int64)
    np.add.at(counts, (ladder.lut.bin_of(image.scores), subnets), 1)
    per_subnet = counts.sum(axis=0)
    return ImageRecord(
        id=image_id(image.entry.path),
        path=image.entry.path,
        status="ok",
        error=None,
        width=image.width * ladder.scale,
        height=image.height * ladder.scale,
        scale=ladder.scale,
        format=context.format,
        image=StoredImage(data, image.output),
        flops=int(per_subnet @ ladder.costs),
        tiles=len(subnets),
        subnet_tiles=tuple(per_subnet.tolist()),
        psnr_predicted_db=ladder.lut.psnr_of(counts, image.height * image.width / ladder.grid.tile**2),
        source_size=image.source_size,
        source_etag=image.entry.etag,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _failed(context: JobContext, image: ImagePlan, error: str) -> ImageRecord:
    return ImageRecord(
        id=image_id(image.entry.path),
        path=image.entry.path,
        status="failed",
        error=error,
        width=None,
        height=None,
        scale=context.ladder.scale,
        format=context.format,
        image=None,
        flops=0,
        tiles=0,
        subnet_tiles=(0,) * len(context.ladder.subnets),
        psnr_predicted_db=None,
        source_size=image.source_size,
        source_etag=image.entry.etag,
        sha256=None,
    )
