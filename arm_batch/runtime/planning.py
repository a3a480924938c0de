"""Planning a shard: decode, score, and keep what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from arm_batch.core.census import ShardCensus, take_census
from arm_batch.core.ladder import Ladder
from arm_batch.core.transparency import hidden_tiles
from arm_batch.errors import ImageError
from arm_batch.runtime.work import Failure, JobContext, ShardSummary
from arm_batch.store.codecs import Picture, choose_format, decode
from arm_batch.store.names import with_extension
from arm_batch.store.plan import ImagePlan, Scores, Shard, ShardId, ShardPlan, read_plan, write_plan
from arm_batch.store.sources import Entry


def plan_shard(context: JobContext, shard: Shard) -> ShardSummary:
    """Plan every image of a shard and keep the plan, unless another attempt did; that one counts then."""
    return plan_with(context, shard, lambda entry, output: plan_image(context, entry, output))


def plan_with(context: JobContext, shard: Shard, plan_one: Callable[[Entry, str], ImagePlan]) -> ShardSummary:
    """Plan a shard by a function that plans one image, given its output path; see `plan_shard`.

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
    plan = ShardPlan(shard.id, tuple(images.values()), shard.origin, shard.extras)
    return keep_plan(context, plan)


def keep_plan(context: JobContext, plan: ShardPlan) -> ShardSummary:
    """Write a shard's plan down; the summary is that of the plan that counts."""
    return summarize(context, write_plan(context.output, plan))


def plan_image(context: JobContext, entry: Entry, output: str) -> ImagePlan:
    """Read, decode and score one image; what cannot be read becomes an error, not a crash."""
    size = entry.size
    try:
        data = context.source.read(entry)
        size = len(data)
        picture = decode(data, context.reading)
        height, width = picture.pixels.shape[:2]
        scale = context.ladder.scale
        format, note = choose_format(
            context.writing.format,
            picture.format,
            height * scale,
            width * scale,
            picture.pixels.dtype,
            picture.has_alpha,
            picture.planes.shape[2],
        )
        scores = score_picture(context.ladder, picture)
        notes = picture.notes if note is None else (*picture.notes, note)
        name = with_extension(output, format)
        return ImagePlan(entry, name, size, height, width, scores, None, format, notes)
    except ImageError as error:
        return failed_plan(context, entry, output, size, str(error))


def score_picture(ladder: Ladder, picture: Picture) -> Scores:
    """The scores of the tiles of a picture, ``(n_tiles, n_scores)``."""
    scores = ladder.scores(picture.pixels)
    if picture.has_alpha:
        # What nobody sees has nothing to win.
        scores[hidden_tiles(picture.planes[..., 0], ladder.grid)] = 0
    return scores


def failed_plan(context: JobContext, entry: Entry, output: str, size: int, error: str) -> ImagePlan:
    """The plan of an image that cannot be upscaled: a row that says why will be all."""
    return ImagePlan(entry, output, size, 0, 0, context.ladder.no_scores, error)


def summarize(context: JobContext, plan: ShardPlan) -> ShardSummary:
    """What the driver and the budget need of a plan."""
    lut = context.ladder.lut
    counted = [image for image in plan.images if len(image.scores)]
    images = ((lut.bin_of(image.scores), image.height * image.width) for image in counted)
    failures = tuple(Failure(i.entry.path, i.error) for i in plan.images if i.error is not None)
    pixels: Counter[str] = Counter()
    for image in counted:
        assert image.format is not None
        pixels[image.format] += image.height * image.width
    copies = sum(image.entry.copy_of is not None for image in plan.images)
    census = ShardCensus.of(take_census(context.objective, lut, images))
    return ShardSummary(plan.id, census, pixels, failures, copies)


def planned_summary(context: JobContext, shard: ShardId) -> ShardSummary:
    """The summary of a shard that an earlier attempt has planned."""
    return summarize(context, read_plan(context.output, shard))
