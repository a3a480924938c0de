"""Pictures that are all in memory: a job without an archive, in one step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.allocation.in_memory import choose_subnets
from arm_batch.core.allocation.measures import OBJECTIVES, Objective
from arm_batch.core.arrays import Indices, Pixels, Scores
from arm_batch.core.prediction.ladder import Ladder
from arm_batch.core.tiling.alpha import fill_hidden
from arm_batch.core.tiling.dither import DitherLook
from arm_batch.core.tiling.grid import Cells, Stitcher
from arm_batch.core.tiling.interpolation import enlarge_planes, interpolate_tiles
from arm_batch.core.tiling.spoiled import why_interpolated
from arm_batch.errors import BudgetError, ImageError, UsageError
from arm_batch.execution.batches import list_batches
from arm_batch.execution.messages import RunBatch
from arm_batch.execution.planning import score_picture
from arm_batch.execution.rows import note_of_not_finite
from arm_batch.images import Picture
from arm_batch.metadata import enlarge_metadata
from arm_batch.models import inference
from arm_batch.models.ladder_files import LadderFiles, load_ladder
from arm_batch.models.runtimes.open import DEVICES

_TAKEN = "uint8 or uint16, (h, w) or (h, w, c)"


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


class InMemoryUpscaler:
    """A ladder on one device, for pictures that are all in memory.

    Args:
        ladder: a shipped name, a folder, or what `load_ladder` gave.
        budget: a share, such as ``40%``.
        objective: what the budget is to make best.
        device: ``cpu`` or ``cuda``.
        threads: of torch on CPUs, in the whole process.

    Raises:
        UsageError: one of these makes no sense.
    """

    def __init__(
        self,
        ladder: str | os.PathLike[str] | LadderFiles,
        budget: str,
        objective: Objective,
        device: str,
        threads: int = 1,
    ) -> None:
        self._share = _share(budget)
        if objective not in OBJECTIVES:
            raise UsageError(f"unknown objective {objective!r}; known: {', '.join(OBJECTIVES)}")
        if device not in DEVICES:
            raise UsageError(f"unknown device {device!r}; known: {', '.join(DEVICES)}")
        files = ladder if isinstance(ladder, LadderFiles) else load_ladder(ladder)
        self.ladder = files.ladder
        if self._share * int(self.ladder.costs[-1]) < int(self.ladder.costs[0]):
            raise BudgetError(f"the budget {budget} is less than interpolation alone needs")
        self._objective = objective
        self._nets = inference.Upscaler(files.nets, self.ladder.grid, self.ladder.scale, device, threads)

    def run(self, pictures: Sequence[Picture]) -> list[UpscaledPicture]:
        """Upscale pictures, any number, within one budget; the results come in order."""
        if not pictures:
            return []
        return upscale_pictures(self.ladder, self._nets.run, self._objective, pictures, self._share)


def _share(budget: str) -> float:
    asked = parse_budget(budget)
    if asked.kind != "share":
        raise BudgetError(
            f"the budget {budget!r} is not a share such as 40%, and without an archive there is no other"
        )
    return float(asked.amount)


def picture_of(array: object) -> Picture:
    """The picture that an array holds.

    Args:
        array: uint8 or uint16, ``(h, w)`` or ``(h, w, c)`` with c of 1 (grey), 2 (and alpha), 3 (RGB) or 4 (and
            alpha).

    Raises:
        ImageError: it is something else.
    """
    if not isinstance(array, np.ndarray):
        raise ImageError(f"is no image: a {type(array).__name__}; {_TAKEN}")
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3) or array.size == 0:
        raise ImageError(f"is no image: {array.dtype} of shape {array.shape}; {_TAKEN}")
    bands = array[..., None] if array.ndim == 2 else array
    channels = bands.shape[2]
    if channels > 4:
        raise ImageError(f"has {channels} channels: 1 to 4 are taken")
    n_colours = 1 if channels < 3 else 3
    colours, planes = (np.ascontiguousarray(part) for part in (bands[..., :n_colours], bands[..., n_colours:]))
    if planes.shape[2]:
        colours = fill_hidden(colours, planes[..., 0])
    return Picture(pixels=colours, planes=planes, has_alpha=planes.shape[2] == 1)


def array_of(picture: Picture, ndim: int) -> Pixels:
    """A picture as an array of 2 or 3 dimensions, alpha as its last channel."""
    bands: Pixels = np.concatenate([picture.pixels, picture.planes], axis=2)
    return bands[..., 0] if ndim == 2 else bands


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
    scored = [_score_unless_spoiled(ladder, picture) for picture in pictures]
    pictures, scores = [picture for picture, _ in scored], [found for _, found in scored]
    chosen = _choose(ladder, objective, pictures, scores, share)
    cells = [ladder.grid.windows(picture.pixels) for picture in pictures]
    stitchers = [
        _interpolated(ladder, picture.pixels, windows, subnets)
        for picture, windows, subnets in zip(pictures, cells, chosen, strict=True)
    ]
    broken = [0] * len(pictures)
    for batch in list_batches(chosen, len(ladder.subnets)):
        outputs = run(batch.subnet, [cells[piece.image].take(piece.tiles) for piece in batch.pieces])
        for piece, upscaled in zip(batch.pieces, outputs, strict=True):
            stitchers[piece.image].add(piece.tiles, upscaled.pixels)
            broken[piece.image] += upscaled.not_finite
    return [
        _finish(ladder, picture, stitcher, of_image, subnets, lost)
        for picture, stitcher, of_image, subnets, lost in zip(
            pictures, stitchers, scores, chosen, broken, strict=True
        )
    ]


def _score_unless_spoiled(ladder: Ladder, picture: Picture) -> tuple[Picture, Scores]:
    """A picture and the scores of its tiles; with a note, and none, where nets would spoil it."""
    height, width = picture.pixels.shape[:2]
    why = why_interpolated(height, width, DitherLook.at(picture.pixels))
    if why is None:
        return picture, score_picture(ladder, picture)
    return replace(picture, notes=(*picture.notes, why)), ladder.no_scores


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


def _interpolated(ladder: Ladder, pixels: Pixels, windows: Cells, subnets: Indices) -> Stitcher:
    """A picture, of which the tiles that get no net are there already."""
    height, width, channels = pixels.shape
    stitcher = Stitcher(ladder.grid, height, width, channels, pixels.dtype, ladder.scale)
    interpolated = np.flatnonzero(subnets == 0)
    stitcher.add(interpolated, interpolate_tiles(windows.take(interpolated).pixels, ladder.grid, ladder.scale))
    return stitcher


def _finish(
    ladder: Ladder, picture: Picture, stitcher: Stitcher, scores: Scores, subnets: Indices, not_finite: int
) -> UpscaledPicture:
    planes = enlarge_planes(picture.planes, ladder.scale)
    height, width = picture.pixels.shape[:2]
    notes = (*picture.notes, *note_of_not_finite(not_finite))
    metadata = enlarge_metadata(picture.metadata, ladder.scale, width * ladder.scale, height * ladder.scale)
    enlarged = replace(picture, pixels=stitcher.image(), planes=planes, metadata=metadata, notes=notes)
    if not len(scores):
        return UpscaledPicture(enlarged, 0, None)
    counts = ladder.lut.counts(scores, subnets, len(ladder.subnets))
    predicted = ladder.lut.psnr_of(counts, height * width / ladder.grid.tile**2)
    told = predicted if ladder.lut.reference is None else None
    return UpscaledPicture(enlarged, int(ladder.costs[subnets].sum()), told)
