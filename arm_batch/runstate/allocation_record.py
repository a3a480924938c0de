"""What the budget of a generation came to, and its arrays in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arm_batch.core.allocation.deadline import TimeForecast
from arm_batch.core.allocation.histogram import Histogram, ShardHistogram
from arm_batch.core.allocation.knapsack import Allocation
from arm_batch.core.allocation.objective import Quality
from arm_batch.core.allocation.waves import Waves
from arm_batch.core.arrays import Counts
from arm_batch.storage.tables import Tables


@dataclass(frozen=True)
class AllocationRecord:
    """What the budget of a generation came to.

    Attributes:
        allocation: over the generation.
        histogram: that it was made for.
        total: FLOPs that may be spent.
        full: FLOPs of the largest subnet everywhere.
        costs: FLOPs of one tile by subnet, ``(n_subnets,)``.
        quality: predicted; ``None`` when no image could be read.
        shards: numbers of the shards that it is for, ascending; for each the last revision that names it counts.
        waves: of the generation, for the cluster that revision 0 was made on; the same in all revisions.
        reason: what the revision is for.
        forecast: of a budget of time; ``None`` for others.
    """

    allocation: Allocation
    histogram: Histogram
    total: int
    full: int
    costs: tuple[int, ...]
    quality: Quality | None
    shards: tuple[int, ...]
    waves: Waves
    reason: str = "plan"
    forecast: TimeForecast | None = None


def pack(allocation_record: AllocationRecord, parts: Sequence[ShardHistogram]) -> dict[str, Counts]:
    """Everything of an allocation that is an array; what the shards have, one after the other."""
    return {
        "shards": np.array(allocation_record.shards, np.int64),
        "allocation": allocation_record.allocation.tiles,
        "images": allocation_record.histogram.images,
        "pixels": allocation_record.histogram.pixels,
        "shard_cells": np.array([len(part.cells) for part in parts], np.int64),
        "cells": _joined([part.cells for part in parts]),
        "tiles": _joined([part.tiles for part in parts]),
        "shard_classes": np.array([len(part.classes) for part in parts], np.int64),
        "classes": _joined([part.classes for part in parts]),
        "class_images": _joined([part.images for part in parts]),
        "class_pixels": _joined([part.pixels for part in parts]),
    }


def unpack(tables: Tables) -> list[ShardHistogram]:
    """The histogram of each shard, as `pack` took it; `StoreError` where the arrays do not fit together."""
    by_cell, by_class = tables.counts("shard_cells"), tables.counts("shard_classes")
    columns = []
    for lengths, names in ((by_cell, ("cells", "tiles")), (by_class, ("classes", "class_images", "class_pixels"))):
        for name in names:
            column = tables.counts(name)
            if lengths.sum() != len(column) or len(lengths) != len(by_cell):
                raise tables.damaged(f"`{name}` does not divide into the shards")
            columns.append(np.split(column, np.cumsum(lengths)[:-1]))
    return [ShardHistogram(*values) for values in zip(*columns, strict=True)]


def _joined(arrays: Sequence[np.ndarray]) -> Counts:
    return np.concatenate([np.empty(0, np.int64), *arrays]).astype(np.int64)
