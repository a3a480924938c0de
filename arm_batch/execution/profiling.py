"""What a run needs to know of its machines to keep within a time: measured, on this archive and this cluster."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from arm_batch.core.prediction.ladder import Ladder
from arm_batch.errors import ImageError
from arm_batch.execution.messages import JobContext
from arm_batch.execution.planning import plan_image
from arm_batch.execution.stages import interpolate_image
from arm_batch.execution.streaming import interpolate_strip
from arm_batch.runstate.plan_files import read_plan
from arm_batch.runstate.shard_plan import ImagePlan, Shard, ShardId, ShardPlan

SAMPLE_PIXELS = 2**18
"""LR pixels of one shard: at x4 4 megapixels, a fraction of a second."""

HostSample = tuple[float, int]
"""Seconds, and the LR pixels that they went into."""


Sampled = ShardId | Shard
"""A shard whose plan is kept; or one whose plan is not, as in a dry run that writes nothing."""


def sample_shards(shards: Sequence[Sampled], count: int) -> list[Sampled]:
    """At most so many shards, evenly spread."""
    count = min(count, len(shards))
    return [shards[i * len(shards) // count] for i in range(count)]


def measure_host_overhead(context: JobContext, shard: Sampled) -> HostSample:
    """Take some images of a shard through everything but planning and the nets, and say how long that took.

    Writing to the store is left out: it waits more than it works.
    """
    plan = read_plan(context.output, shard) if isinstance(shard, ShardId) else _plan_some(context, shard)
    sizes = _sizes(plan)
    if not sizes:
        return 0.0, 0
    whole = {p: size for p, size in sizes.items() if not context.is_large(plan.images[p])}
    if not whole:
        return _measure_large(context, plan.images[next(iter(sizes))])
    small = {p: size for p, size in whole.items() if size <= SAMPLE_PIXELS}
    if small:
        # The first image of a process pays for what others find ready.
        interpolate_image(context, plan, next(iter(small)))
        return _measure_some(context, plan, small)
    smallest = min(whole, key=whole.__getitem__)
    return _measure_some(context, plan, {smallest: whole[smallest]})


def _sizes(plan: ShardPlan) -> dict[int, int]:
    """LR pixels of the images that are upscaled, by position."""
    return {
        position: image.height * image.width
        for position, image in enumerate(plan.images)
        if image.error is None and image.entry.copy_of is None
    }


def _measure_some(context: JobContext, plan: ShardPlan, sizes: Mapping[int, int]) -> HostSample:
    """Images of a shard until they come to `SAMPLE_PIXELS`; `sizes` are by position, in px."""
    seconds, pixels = 0.0, 0
    for position, size in sizes.items():
        started = time.perf_counter()
        interpolate_image(context, plan, position)
        seconds += time.perf_counter() - started
        pixels += size
        if pixels >= SAMPLE_PIXELS:
            break
    return seconds, pixels


def _plan_some(context: JobContext, shard: Shard) -> ShardPlan:
    """The plan of the first images of a shard, no more than are looked at."""
    images: list[ImagePlan] = []
    for entry, output in zip(shard.entries, shard.outputs, strict=True):
        if entry.copy_of is not None:
            continue
        images.append(plan_image(context, entry, output))
        if sum(image.height * image.width for image in images) >= SAMPLE_PIXELS:
            break
    return ShardPlan(shard.id, tuple(images), shard.origin)


def _measure_large(context: JobContext, image: ImagePlan) -> HostSample:
    started = time.perf_counter()
    try:
        pixels = interpolate_strip(context, image)
    except ImageError:
        # The run will say so.
        return 0.0, 0
    return time.perf_counter() - started, pixels


def per_megapixel(samples: Iterable[HostSample]) -> float:
    """Core seconds per megapixel of all samples together; 0 without any."""
    told = list(samples)
    pixels = sum(p for _, p in told)
    return sum(s for s, _ in told) / pixels * 1e6 if pixels else 0.0


def speed_key(kind: str, hardware: str, devices: int, ladder: Ladder) -> str:
    """What measured speeds are kept under: all that decides them, also how many devices are at work at once."""
    return f"{kind}, {hardware}, {devices} at once, tile {ladder.grid.window}, ladder {ladder.digest}"
