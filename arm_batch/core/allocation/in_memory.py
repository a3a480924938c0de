"""The subnet of every tile of images that are all at hand: what a job does in stages, in one step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from arm_batch.core.allocation.apportion import ShardAllocation, assign
from arm_batch.core.allocation.histogram import cells_of, take_histogram
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.allocation.objective import solve
from arm_batch.core.arrays import Indices, Singles
from arm_batch.core.prediction.ladder import Ladder


def choose_subnets(
    ladder: Ladder,
    objective: Objective,
    scores: Sequence[Singles],
    pixels: Sequence[int],
    flops: int,
) -> list[Indices]:
    """Spend a budget on images where it makes an objective best.

    Args:
        ladder: the subnets.
        objective: what to make best.
        scores: of the tiles of each image, ``(n_tiles, n_scores)`` each.
        pixels: LR px of each image.
        flops: the budget.

    Returns:
        For each image the subnet of each tile.

    Raises:
        BudgetError: it is less than interpolation alone needs.
    """
    lut = ladder.lut
    bins = [lut.bin_of(values) for values in scores]
    histogram = take_histogram(objective, lut, zip(bins, pixels, strict=True))
    tiles = solve(objective, lut, histogram, ladder.costs, flops).tiles.reshape(-1, len(ladder.subnets))
    occupied = np.flatnonzero(tiles.sum(axis=1))
    cells = np.concatenate([cells_of(objective, lut, image) for image in bins])
    subnets = assign(np.concatenate(scores)[:, 0], cells, ShardAllocation(occupied, tiles[occupied]))
    return np.split(subnets, np.cumsum([len(values) for values in scores])[:-1])
