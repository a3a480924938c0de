"""Planning a shard: decode, score, and keep what was found."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import BinaryIO

import numpy as np

from arm_batch.core.allocation.histogram import ShardHistogram, take_histogram
from arm_batch.core.arrays import Pixels, Scores
from arm_batch.core.prediction.ladder import Ladder
from arm_batch.core.stop import Stop, never
from arm_batch.core.tiling.alpha import ShownTiles
from arm_batch.core.tiling.dither import DitherLook
from arm_batch.core.tiling.spoiled import why_interpolated
from arm_batch.errors import ImageError, StoppedError, StoreError
from arm_batch.execution.messages import Failure, JobContext, ShardSummary
from arm_batch.images import Picture, choose_format
from arm_batch.images.streaming import Strips, canvas_of, choose_strip_format, of_picture, open_strips
from arm_batch.inputs.sources import Entry, of_one_image
from arm_batch.runstate.names import with_extension
from arm_batch.runstate.plan_files import plan_key, read_plan, write_plan
from arm_batch.runstate.shard_plan import ImagePlan, Shard, ShardId, ShardPlan, leave


def plan_shards(context: JobContext, shards: Iterable[Shard], stop: Stop = never) -> Iterator[ShardSummary]:
    """Plan every image of each shard and keep the plans, unless another attempt did; those count then.

    Images are read ahead of what is planned, those of the next shards too. When `stop` says so, there are no more.
    """
    planned, read = itertools.tee(shards)
    entries = (entry for shard in read for entry in shard.entries if entry.copy_of is None)
    opened = context.source.opened(entries, stop)

    def plan_one(entry: Entry, output: str) -> ImagePlan:
        found = next(opened, None)
        if found is None:
            raise StoppedError("stopped while a shard was planned")
        return plan_opened(context, entry, output, found)

    with suppress(StoppedError):
        for shard in planned:
            if stop():
                return
            yield plan_with(context, shard, plan_one)


def plan_with(context: JobContext, shard: Shard, plan_one: Callable[[Entry, str], ImagePlan]) -> ShardSummary:
    """Plan a shard by a function that plans one image, given its output path; see `plan_shards`.

    A copy is planned as the image that it follows, without tiles.
    """
    images: dict[str, ImagePlan] = {}
    for entry, output in zip(shard.entries, shard.outputs, strict=True):
        if entry.copy_of is None:
            images[entry.path] = plan_one(entry, output)
        else:
            first = images[entry.copy_of]
            name = output if first.format is None else with_extension(output, first.format)
            images[entry.path] = replace(first, entry=entry, output=name, scores=context.ladder.no_scores)
    plan = ShardPlan(shard.id, leave(images.values(), shard.left), shard.origin, shard.passthrough)
    return keep_plan(context, plan)


def keep_plan(context: JobContext, plan: ShardPlan) -> ShardSummary:
    """Write a shard's plan down; the summary is that of the plan that counts."""
    return summarize(context, write_plan(context.output, plan))


def plan_image(context: JobContext, entry: Entry, output: str) -> ImagePlan:
    """Read, decode and score one image; what cannot be read becomes an error, not a crash."""
    return plan_opened(context, entry, output, partial(context.source.open, entry))


def plan_opened(context: JobContext, entry: Entry, output: str, opened: Callable[[], BinaryIO]) -> ImagePlan:
    """The same with what opens the image given; it raises what `Source.open` does."""
    size = entry.size
    try:
        with of_one_image("changed while it was read"), opened() as stream:
            size = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            strips = open_strips(stream, context.reading, context.large_images)
            format, note = _choose_format(context, strips)
            scores, why = _score_unless_spoiled(context.ladder, strips)
        notes = (*strips.notes, *(told for told in (note, why) if told is not None))
        name = with_extension(output, format)
        return ImagePlan(entry, name, size, strips.height, strips.width, scores, None, format, notes)
    except ImageError as error:
        return failed_plan(context, entry, output, size, str(error))


def score_picture(ladder: Ladder, picture: Picture) -> Scores:
    """The scores of the tiles of a picture, ``(n_tiles, n_scores)``."""
    return _score(ladder, of_picture(picture), None)


def _score_unless_spoiled(ladder: Ladder, strips: Strips) -> tuple[Scores, str | None]:
    """The scores of all tiles; none where nets would spoil the image, and why. It is read once."""
    look = DitherLook(strips.height, strips.width)
    scores = _score(ladder, strips, look)
    why = why_interpolated(strips.height, strips.width, look)
    return (scores if why is None else ladder.no_scores), why


def _score(ladder: Ladder, strips: Strips, look: DitherLook | None) -> Scores:
    """The scores of all tiles, read from top to bottom; what nobody sees has nothing to win."""
    shown = ShownTiles(strips.height, strips.width, ladder.grid) if strips.has_alpha else None

    def rows(start: int, stop: int) -> Pixels:
        piece = strips.rows(start, stop)
        if shown is not None:
            shown.add(start, piece[..., strips.colours])
        colours = np.ascontiguousarray(piece[..., : strips.colours])
        if look is not None:
            look.add(start, colours)
        return colours

    scores = ladder.scores_of_rows(rows, strips.height, strips.width)
    if shown is not None:
        scores[shown.hidden()] = 0
    return scores


def _choose_format(context: JobContext, strips: Strips) -> tuple[str, str | None]:
    wanted, scale = context.writing.format, context.ladder.scale
    height, width = strips.height * scale, strips.width * scale
    if context.large_images.has_output(height, width):
        return choose_strip_format(wanted, strips.format, canvas_of(strips, scale, False))
    return choose_format(wanted, strips.format, height, width, strips.dtype, strips.has_alpha, strips.planes)


def failed_plan(context: JobContext, entry: Entry, output: str, size: int, error: str) -> ImagePlan:
    """The plan of an image that cannot be upscaled: a row that says why will be all."""
    return ImagePlan(entry, output, size, 0, 0, context.ladder.no_scores, error)


def summarize(context: JobContext, plan: ShardPlan) -> ShardSummary:
    """What the driver and the budget need of a plan."""
    lut = context.ladder.lut
    counted = [image for image in plan.images if image.error is None and image.entry.copy_of is None]
    images = ((lut.bin_of(i.scores), i.height * i.width) for i in counted if not i.is_interpolated)
    failures = tuple(Failure(i.entry.path, i.error) for i in plan.images if i.error is not None)
    pixels: Counter[str] = Counter()
    for image in counted:
        assert image.format is not None
        pixels[image.format] += image.height * image.width
    duplicates = sum(image.entry.copy_of is not None for image in plan.images)
    histogram = ShardHistogram.of(take_histogram(context.objective, lut, images))
    return ShardSummary(
        shard=plan.id,
        histogram=histogram,
        pixels=pixels,
        failures=failures,
        duplicates=duplicates,
        images=len(plan.images),
    )


def planned_summary(context: JobContext, shard: ShardId) -> ShardSummary:
    """The summary of a shard that an earlier attempt has planned."""
    plan, grid = read_plan(context.output, shard), context.ladder.grid
    for image in plan.images:
        if len(image.scores) not in (0, grid.count(image.height, image.width)):
            raise StoreError(
                f"{context.output.url}/{plan_key(shard)} is of other tiles than {image.entry.path} has; "
                "remove it, and it is made again"
            )
    return summarize(context, plan)
