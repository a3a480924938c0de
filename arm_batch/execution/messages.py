"""What travels between the stages of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from arm_batch.core.allocation.histogram import ShardHistogram
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.arrays import Indices, Pixels
from arm_batch.core.image_options import Reading, Writing
from arm_batch.core.large_images import LargeImages
from arm_batch.core.prediction.ladder import Ladder
from arm_batch.core.progress import Done
from arm_batch.core.tiling.grid import Upscaled, Windows
from arm_batch.inputs.sources import Entry, Source
from arm_batch.metadata import Metadata
from arm_batch.runstate.shard_plan import ImagePlan, Shard, ShardId, ShardPlan
from arm_batch.spec import DEFAULT_ENGINE, Engine, ShardLimits, Sink
from arm_batch.storage.base import ObjectStore

RunBatch = Callable[[int, Sequence[Windows]], Sequence[Upscaled]]
"""Upscales the windows of a batch with the subnet of this number, as `Upscaler.run` does."""


@dataclass(frozen=True, kw_only=True)
class JobContext:
    """What every stage needs to know; the same for the whole run."""

    source: Source
    output: ObjectStore
    ladder: Ladder
    objective: Objective
    sink: Sink
    reading: Reading
    writing: Writing
    large_images: LargeImages
    engine: Engine = DEFAULT_ENGINE

    def is_large(self, image: ImagePlan) -> bool:
        """Whether a planned image runs by itself, band by band."""
        scale = self.ladder.scale
        return image.error is None and self.large_images.has_output(image.height * scale, image.width * scale)

    def has_large(self, plan: ShardPlan) -> bool:
        """Whether any image of a shard is a large image; then its images run one by one."""
        return any(self.is_large(image) for image in plan.images)


@dataclass(frozen=True)
class Failure:
    """An image that cannot be upscaled: its path, and why."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ShardSummary:
    """The small part of a shard's plan that reaches the driver and the budget.

    Attributes:
        shard: which.
        histogram: of its tiles.
        pixels: of its images as they are read, by the format that they will be written in.
        failures: what cannot be upscaled.
        duplicates: images of it that are copies of others, and have no tiles.
        images: of it in all.
    """

    shard: ShardId
    histogram: ShardHistogram
    pixels: Mapping[str, int]
    failures: tuple[Failure, ...]
    duplicates: int = 0
    images: int = 0


@dataclass(frozen=True)
class Partly:
    """A shard that is under way, and what of it is through; replaces what was told of it before."""

    shard: ShardId
    done: Done


@dataclass(frozen=True)
class Piece:
    """Tiles of one image that run in one batch: the image's position in the shard, and tile indices."""

    image: int
    tiles: Indices


@dataclass(frozen=True)
class Batch:
    """Tiles of a shard that run on the same subnet in one call."""

    subnet: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """What stitching needs to know of an image that was read again for the run.

    Attributes:
        channels: 1 or 3.
        dtype: of the pixels, as numpy names it.
        interpolated: windows of the tiles that get interpolation; they are cheap and skip the actors.
        planes: alpha and further bands, as of `Picture`.
        has_alpha: whether the first of them is alpha.
        metadata: beside the pixels.
        error: why it could not be read, although planning could.
    """

    channels: int
    dtype: str
    interpolated: Pixels
    planes: Pixels
    has_alpha: bool
    metadata: Metadata
    error: str | None


@dataclass(frozen=True)
class ShardHead:
    """All that the last stage of a shard needs beside the upscaled tiles."""

    plan: ShardPlan
    headers: tuple[ImageHeader, ...]


def shard_entries(
    generation: int,
    entries: Sequence[Entry],
    outputs: Sequence[str],
    limits: ShardLimits,
    passthrough: pa.Table | None = None,
) -> list[Shard]:
    """Consecutive shards within `limits`; an image that is larger than all has one of its own, with its copies.

    Args:
        generation: that the shards are of.
        entries: in the order in which they go into shards.
        outputs: their output paths.
        limits: of a shard.
        passthrough: the input's columns of each entry; None where it has none.
    """
    shards: list[Shard] = []
    start = size = 0

    def cut(stop: int) -> None:
        shard = ShardId(generation, len(shards))
        own = None if passthrough is None else passthrough.slice(start, stop - start)
        shards.append(Shard(shard, tuple(entries[start:stop]), tuple(outputs[start:stop]), None, own))

    for position, entry in enumerate(entries):
        weight = max(entry.size, 0)
        full = position - start >= limits.images or size + weight > limits.source_bytes
        if position > start and full and entry.copy_of is None:
            cut(position)
            start, size = position, 0
        size += weight
    if start < len(entries):
        cut(len(entries))
    return shards
