"""Pictures that are all in memory: a job without an archive, in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from arm_batch.core.allocation.histogram import Objective
from arm_batch.core.allocation.in_memory import choose_subnets
from arm_batch.core.prediction.ladder import Ladder
from arm_batch.core.tiling.dither import is_dithered
from arm_batch.core.tiling.grid import Pixels, Stitcher, take
from arm_batch.core.tiling.interpolation import enlarge_planes, interpolate_tiles
from arm_batch.execution.batches import list_batches
from arm_batch.execution.messages import DITHERED, Indices, RunBatch
from arm_batch.execution.planning import score_picture
from arm_batch.execution.rows import note_of_not_finite
from arm_batch.images import Picture, enlarge_metadata
from arm_batch.runstate.shard_plan import Scores


@dataclass(frozen=True)
class UpscaledPicture:
    """What became of a picture.

    Attributes:
        picture: upscaled, with the metadata that still holds.
        flops: executed for it.
        psnr_predicted_db: from the ladder's table; None where no net was asked for.
    """

    picture: Picture
    flops: int
    psnr_predicted_db: float | None


def upscale_pictures(
    ladder: Ladder, run: RunBatch, objective: Objective, pictures: Sequence[Picture], share: float
) -> list[UpscaledPicture]:
    """Upscale pictures within one budget.

    Args:
        ladder: the subnets.
        run: upscales a batch of windows, as `arm_batch.models.inference.Upscaler.run` does.
        objective: what the budget is to make best.
        pictures: at least one.
        share: of running the largest subnet on all their tiles, in (0, 1].

    Returns:
        One for each picture, in order.

    Raises:
        BudgetError: the budget is less than interpolation alone needs.
    """
    spoiled = [is_dithered(picture.pixels) for picture in pictures]
    scores = [ladder.no_scores if s else score_picture(ladder, p) for p, s in zip(pictures, spoiled, strict=True)]
    chosen = _choose(ladder, objective, pictures, scores, share)
    cells = [ladder.grid.windows(picture.pixels) for picture in pictures]
    stitchers = [
        _interpolated(ladder, picture.pixels, windows, subnets)
        for picture, windows, subnets in zip(pictures, cells, chosen, strict=True)
    ]
    broken = [0] * len(pictures)
    for batch in list_batches(chosen, len(ladder.subnets)):
        outputs = run(batch.subnet, [take(cells[piece.image], piece.tiles) for piece in batch.pieces])
        for piece, upscaled in zip(batch.pieces, outputs, strict=True):
            stitchers[piece.image].add(piece.tiles, upscaled.pixels)
            broken[piece.image] += upscaled.not_finite
    return [
        _finish(ladder, picture, stitcher, of_image, subnets, lost)
        for picture, stitcher, of_image, subnets, lost in zip(
            pictures, stitchers, scores, chosen, broken, strict=True
        )
    ]


def _choose(
    ladder: Ladder, objective: Objective, pictures: Sequence[Picture], scores: Sequence[Scores], share: float
) -> list[Indices]:
    """The subnet of each tile; interpolation, out of no budget, where a picture has no scores."""
    sizes = [picture.pixels.shape[:2] for picture in pictures]
    scored = [position for position, of_image in enumerate(scores) if len(of_image)]
    chosen = [np.zeros(ladder.grid.count(*size), np.intp) for size in sizes]
    if scored:
        full = sum(len(scores[position]) for position in scored) * int(ladder.costs[-1])
        pixels = [sizes[position][0] * sizes[position][1] for position in scored]
        found = choose_subnets(
            ladder, objective, [scores[position] for position in scored], pixels, int(share * full)
        )
        for position, subnets in zip(scored, found, strict=True):
            chosen[position] = subnets
    return chosen


def _interpolated(ladder: Ladder, pixels: Pixels, windows: Pixels, subnets: Indices) -> Stitcher:
    """A picture, of which the tiles that get no net are there already."""
    height, width, channels = pixels.shape
    stitcher = Stitcher(ladder.grid, height, width, channels, pixels.dtype, ladder.scale)
    interpolated = np.flatnonzero(subnets == 0)
    stitcher.add(interpolated, interpolate_tiles(take(windows, interpolated), ladder.grid, ladder.scale))
    return stitcher


def _finish(
    ladder: Ladder, picture: Picture, stitcher: Stitcher, scores: Scores, subnets: Indices, not_finite: int
) -> UpscaledPicture:
    planes = enlarge_planes(picture.planes, ladder.scale)
    notes = (*picture.notes, *(note_of_not_finite(not_finite) if len(scores) else (DITHERED,)))
    height, width = picture.pixels.shape[:2]
    metadata = enlarge_metadata(picture.metadata, ladder.scale, width * ladder.scale, height * ladder.scale)
    enlarged = replace(picture, pixels=stitcher.image(), planes=planes, metadata=metadata, notes=notes)
    if not len(scores):
        return UpscaledPicture(enlarged, 0, None)
    counts = ladder.lut.counts(scores, subnets, len(ladder.subnets))
    predicted = ladder.lut.psnr_of(counts, height * width / ladder.grid.tile**2)
    return UpscaledPicture(enlarged, int(ladder.costs[subnets].sum()), predicted)
