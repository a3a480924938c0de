"""What is known of a shard: its inputs, and of each image what planning has found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from arm_batch.core.arrays import Scores
from arm_batch.inputs.sources import Entry

PLAN = "plan/"
"""Prefix of everything that belongs to plans."""


@dataclass(frozen=True, order=True, slots=True)
class ShardId:
    """Names a shard for good: its generation and its number in it."""

    generation: int
    index: int

    def __str__(self) -> str:
        return f"g{self.generation:04d}/{self.index:06d}"

    @staticmethod
    def parse(text: str) -> ShardId:
        """Read what `str` wrote; `ValueError` for anything else.

        >>> ShardId.parse("g0001/000042")
        ShardId(generation=1, index=42)
        """
        match = re.fullmatch(r"g(\d{4,})/(\d{6,})", text)
        if match is None:
            raise ValueError(f"not a shard: {text!r}")
        return ShardId(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class Shard:
    """Images that are planned, run and committed together.

    Attributes:
        id: of the shard.
        entries: the inputs.
        outputs: their output paths.
        origin: the shard whose failed images these are, in a generation that tries them again.
        passthrough: the input's columns of each entry; None where it has none.
        left: the images, by path, that its record leaves to later shards, when it is planned again; see `leave`.
    """

    id: ShardId
    entries: tuple[Entry, ...]
    outputs: tuple[str, ...]
    origin: ShardId | None = None
    passthrough: pa.Table | None = None
    left: Mapping[str, ShardId] = field(default_factory=dict)


@dataclass(frozen=True)
class ImagePlan:
    """One image after planning.

    Attributes:
        entry: the input.
        output: output path, with the extension of its format.
        source_size: bytes; -1 when they could not be read.
        height: LR px.
        width: LR px.
        scores: of each tile, ``(n_tiles, n_scores)``; none when the image failed, is a copy or is interpolated.
        error: why it failed.
        format: that it will be written in, a key of `FORMATS`; None when it failed.
        notes: what a user should know of how it is read and written, one line each.
    """

    entry: Entry
    output: str
    source_size: int
    height: int
    width: int
    scores: Scores
    error: str | None
    format: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_interpolated(self) -> bool:
        """Whether it is upscaled without nets and out of nobody's budget, as what nets would spoil."""
        return self.error is None and self.entry.copy_of is None and not len(self.scores)


_LEFT = "left to "


def left_to(image: ImagePlan) -> ShardId | None:
    """The shard of a later generation that an image was left to, see `leave`; None for most."""
    if image.error is None or not image.error.startswith(_LEFT):
        return None
    return ShardId.parse(image.error.removeprefix(_LEFT))


def leave(images: Iterable[ImagePlan], retried: Mapping[str, ShardId]) -> tuple[ImagePlan, ...]:
    """The images of a shard that is done again, without those that later shards have tried again, by path.

    Their rows are the later shards'.
    """
    return tuple(
        replace(image, error=f"{_LEFT}{retried[image.entry.path]}") if image.entry.path in retried else image
        for image in images
    )


@dataclass(frozen=True)
class ShardPlan:
    """One shard after planning: all that later stages need except the pixels; `passthrough` as of `Shard`."""

    id: ShardId
    images: tuple[ImagePlan, ...]
    origin: ShardId | None = None
    passthrough: pa.Table | None = None

    def originals(self) -> list[int]:
        """Positions of the images that are no copies of others."""
        return [position for position, image in enumerate(self.images) if image.entry.copy_of is None]

    def scores(self) -> Scores:
        """The scores of all tiles, image by image, ``(n_tiles, n_scores)``."""
        return np.concatenate([image.scores for image in self.images])
