"""The ladder: the candidate subnets of a run, cheapest first, and the table that predicts them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arm_batch.core.arrays import Counts, Pixels, Singles
from arm_batch.core.prediction.lut import Lut
from arm_batch.core.tiling.grid import Rows, TileGrid
from arm_batch.core.tiling.scores import check_alignment, score_rows, score_tiles
from arm_batch.errors import LadderError

INTERPOLATION = "bicubic"
"""Name of the subnet that every ladder begins with."""


@dataclass(frozen=True)
class Origin:
    """Where a model of the user's comes from.

    Attributes:
        sha256: of the file that was given.
        architecture: what it is.
        licence: as it states it; empty where it does not.
    """

    sha256: str
    architecture: str
    licence: str


@dataclass(frozen=True)
class Subnet:
    """One way to upscale a tile.

    Attributes:
        name: such as ``fsrcnn-36``; `INTERPOLATION` for the first.
        flops: executed for one tile with its halo.
        paper_flops: the same in the convention of the published tables.
        origin: of a model that a user brought; None for others.
    """

    name: str
    flops: int
    paper_flops: int
    origin: Origin | None = None


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The subnets that a run may choose from.

    They may come from several supernets and from models of the user's; the allocator sees only their cost and
    predicted quality.

    Attributes:
        name: of the ladder.
        scale: upscaling factor.
        grid: the tiling that costs and table are for.
        subnets: cheapest first, interpolation at the front.
        lut: predictions, one column a subnet.
        digest: SHA-256 over everything that decides pixels: weights, table, tiling.
    """

    name: str
    scale: int
    grid: TileGrid
    subnets: tuple[Subnet, ...]
    lut: Lut
    digest: str

    def __post_init__(self) -> None:
        if self.lut.mse.shape[1] != len(self.subnets):
            raise LadderError(
                f"{self.name}: the LUT has {self.lut.mse.shape[1]} columns for {len(self.subnets)} subnets"
            )
        check_alignment(self.lut.scores, self.grid)
        if (np.diff(self.costs) <= 0).any() or self.subnets[0].name != INTERPOLATION:
            raise LadderError(f"{self.name}: subnets must ascend in cost from {INTERPOLATION}")

    @property
    def costs(self) -> Counts:
        """Executed FLOPs per tile of each subnet, ``(n_subnets,)``."""
        return np.array([s.flops for s in self.subnets], np.int64)

    def scores(self, image: Pixels) -> Singles:
        """The scores that the table wants of each tile of an image, ``(n_tiles, n_scores)``."""
        return score_tiles(self.lut.scores, image, self.grid)

    def scores_of_rows(self, rows: Rows, height: int, width: int) -> Singles:
        """`scores` of an image of this size that is read from top to bottom."""
        return score_rows(self.lut.scores, rows, height, width, self.grid)

    @property
    def no_scores(self) -> Singles:
        """The scores of no tile, ``(0, n_scores)``."""
        return np.empty((0, len(self.lut.scores)), np.float32)


def interpolation_flops(scale: int, window: int) -> int:
    """Executed FLOPs of a separable four-tap bicubic over one RGB window of ``window**2`` LR px.

    Four taps for each pixel of the horizontally enlarged rows, then four for each output pixel.
    """
    taps = 4 * (scale + scale * scale)
    return 2 * 3 * taps * window * window
