"""Which tile of a shard runs where: follows from its plan and its share alone, never from timing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from arm_batch.core.allocation.apportion import ShardAllocation, assign
from arm_batch.core.allocation.histogram import cells_of
from arm_batch.core.arrays import Indices
from arm_batch.errors import StoreError
from arm_batch.execution.messages import Batch, JobContext, Piece
from arm_batch.runstate.plan_files import plan_key
from arm_batch.runstate.shard_plan import ImagePlan, ShardPlan

BATCH_TILES = 256
"""Tiles per actor call: some 13 MB of output at x4, so a call costs far more than its overhead."""


def assign_images(context: JobContext, plan: ShardPlan, share: ShardAllocation) -> list[Indices]:
    """The subnet of each tile of each image; follows from the plan and the shard's share alone.

    Raises:
        StoreError: the plan has other tiles than the share.
    """
    scores, lut = plan.scores(), context.ladder.lut
    per_image = [cells_of(context.objective, lut, lut.bin_of(image.scores)) for image in plan.images]
    cells = np.concatenate(per_image)
    occupied, counts = np.unique(cells, return_counts=True)
    if not (np.array_equal(occupied, share.cells) and np.array_equal(counts, share.tiles.sum(axis=1))):
        raise StoreError(
            f"{context.output.url}/{plan_key(plan.id)} has other tiles than were allocated; "
            "remove it, and it is made again"
        )
    subnets = assign(scores[:, 0], cells, share)
    assigned = np.split(subnets, np.cumsum([len(image.scores) for image in plan.images])[:-1])
    return [
        interpolated(context, image) if image.is_interpolated else own
        for image, own in zip(plan.images, assigned, strict=True)
    ]


def interpolated(context: JobContext, image: ImagePlan) -> Indices:
    """Interpolation for each tile of an image."""
    return np.zeros(context.ladder.grid.count(image.height, image.width), np.intp)


def batch_subnets(share: ShardAllocation) -> list[int]:
    """The subnet of each batch that a share leads to, as `list_batches` will cut them."""
    totals = enumerate(share.per_subnet.tolist())
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
