"""Reading the images of a shard again, and cutting the windows of its batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from arm_batch.core.arrays import Indices, Pixels
from arm_batch.core.tiling.grid import Windows
from arm_batch.errors import ImageError
from arm_batch.execution.batches import list_batches
from arm_batch.execution.messages import Batch, ImageHeader, JobContext, ShardHead
from arm_batch.images import Picture, decode
from arm_batch.metadata import Metadata
from arm_batch.runstate.shard_plan import ImagePlan, ShardPlan


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
    windows: list[list[Windows]]


def cut_shard(context: JobContext, plan: ShardPlan, assigned: Sequence[Indices]) -> Prepared:
    """Read the images of a plan, one after the other, and cut their windows.

    Args:
        context: of the run.
        plan: of the shard, or of a part of it.
        assigned: subnet of each tile, for each image of the plan.
    """
    batches = list_batches(assigned, len(context.ladder.subnets))
    headers = []
    # What an image that can no longer be read leaves in its place.
    nothing = np.empty((0, context.ladder.grid.window, context.ladder.grid.window, 1), np.uint8)
    windows: list[list[Windows]] = [[Windows.within(nothing)] * len(batch.pieces) for batch in batches]
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
                    cut[place] = cells.take(piece.tiles)
        interpolated = cells.take(np.flatnonzero(assigned[position] == 0)).pixels
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
