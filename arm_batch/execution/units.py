"""What of a shard is upscaled at a time: consecutive images, enough to fill batches, few enough for all cores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from arm_batch.core.arrays import Indices
from arm_batch.execution.messages import JobContext
from arm_batch.execution.work import UpscaleImages
from arm_batch.runstate.shard_plan import ImagePlan, ShardPlan

UNIT_PIXELS = 2**19
"""LR pixels of a unit: 512 tiles of 32 px, so that batches of five subnets are mostly full."""

_BYTES_PER_PIXEL = 6
"""Of output: three channels of its tiles, and three of what they are stitched to; of 16 bits twice as much."""

_BANDS = 4
"""That a large image has in memory at once: read, upscaled, stitched, and on the way into the file."""


def cut_units(context: JobContext, plan: ShardPlan, assigned: Sequence[Indices]) -> Iterator[UpscaleImages]:
    """The units of a shard, in order; they follow from its plan alone.

    Args:
        context: of the run.
        plan: of the shard.
        assigned: the subnet of each tile of each image.
    """
    for start, stop in _runs([image.height * image.width for image in plan.images]):
        images = plan.images[start:stop]
        yield UpscaleImages(
            plan=replace(plan, images=images, passthrough=None),
            assigned=tuple(assigned[start:stop]),
            position=start,
            weight=sum(_weight(context, image) for image in images),
        )


def _runs(pixels: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where each unit begins and ends, of images with so many pixels.

    >>> list(_runs([2**18, 2**18, 1, 2**20, 5]))
    [(0, 2), (2, 3), (3, 4), (4, 5)]
    """
    start = held = 0
    for position, size in enumerate(pixels):
        if position > start and held + size > UNIT_PIXELS:
            yield start, position
            start, held = position, 0
        held += size
    if start < len(pixels):
        yield start, len(pixels)


def _weight(context: JobContext, image: ImagePlan) -> int:
    """Bytes that an image may take while it is upscaled; a copy is none by itself."""
    if image.entry.copy_of is not None:
        return 0
    if context.is_large(image):
        return _BANDS * context.large_images.band_bytes
    return image.height * image.width * context.ladder.scale**2 * _BYTES_PER_PIXEL
