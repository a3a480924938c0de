"""What travels between the stages of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arm_batch.core.allocate import Counts
from arm_batch.core.ladder import Ladder
from arm_batch.core.tiles import Pixels
from arm_batch.spec import Sink
from arm_batch.store.objects import ObjectStore
from arm_batch.store.sources import Entry, Source

Scores = NDArray[np.float32]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class JobContext:
    """What every stage needs to know; the same for the whole run."""

    source: Source
    output: ObjectStore
    ladder: Ladder
    sink: Sink
    format: str
    quality: int


@dataclass(frozen=True)
class Shard:
    """Images that are planned, run and committed together.

    Attributes:
        index: position in the plan.
        entries: the inputs.
        outputs: their output paths.
    """

    index: int
    entries: tuple[Entry, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class ImagePlan:
    """One image after planning.

    Attributes:
        entry: the input.
        output: output path.
        source_size: bytes; -1 when they could not be read.
        height: LR px.
        width: LR px.
        scores: of each tile, ``(n_tiles, n_scores)``; none when the image failed.
        error: why it failed.
    """

    entry: Entry
    output: str
    source_size: int
    height: int
    width: int
    scores: Scores
    error: str | None


@dataclass(frozen=True)
class ShardPlan:
    """One shard after planning: all that later stages need except the pixels."""

    index: int
    images: tuple[ImagePlan, ...]

    def scores(self) -> Scores:
        """The scores of all tiles, image by image, ``(n_tiles, n_scores)``."""
        return np.concatenate([image.scores for image in self.images])


@dataclass(frozen=True)
class ShardSummary:
    """The small part of a shard's plan that reaches the driver and the budget."""

    index: int
    histogram: Counts
    images: int
    failed: int


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


@dataclass(frozen=True)
class ImageHeader:
    """What stitching needs to know of an image that was read again for the run.

    Attributes:
        channels: 1 or 3.
        dtype: of the pixels, as numpy names it.
        interpolated: windows of the tiles that get interpolation; they are cheap and skip the actors.
        error: why it could not be read, although planning could.
    """

    channels: int
    dtype: str
    interpolated: Pixels
    error: str | None


def shard_entries(
    entries: Sequence[Entry], outputs: Sequence[str], max_images: int, max_bytes: int
) -> list[Shard]:
    """Consecutive shards of at most `max_images` images and `max_bytes` source bytes (at least one image)."""
    shards: list[Shard] = []
    start = size = 0
    for position, entry in enumerate(entries):
        weight = max(entry.size, 0)
        if position > start and (position - start >= max_images or size + weight > max_bytes):
            shards.append(_shard(len(shards), entries, outputs, start, position))
            start, size = position, 0
        size += weight
    if start < len(entries):
        shards.append(_shard(len(shards), entries, outputs, start, len(entries)))
    return shards


def _shard(index: int, entries: Sequence[Entry], outputs: Sequence[str], start: int, stop: int) -> Shard:
    return Shard(index, tuple(entries[start:stop]), tuple(outputs[start:stop]))
