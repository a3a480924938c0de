"""Objectives: what a plan is to make best, and the allocation that does.

- ``psnr``: the mean over tiles of the tile's PSNR, as in the ARM paper.
- ``mse``: the squared error of all images pooled.
- ``image-psnr``: the mean over images of the image's PSNR, which is what papers report.

An image's PSNR is minus the logarithm of its squared error, so what a tile's error counts for is one over the
error of its whole image. Images of nearly equal error are put into one class; classes times bins is all that is
kept, however many images there are. The weights depend on the allocation and the allocation on the weights:
from the errors of interpolation on, each round allocates with the weights of the last. Minus a logarithm of a
sum is convex, so each round maximises a lower bound that touches the objective where the last round ended
(minorise-maximise, Hunter & Lange, "A Tutorial on MM Algorithms", The American Statistician 2004): the
objective never falls, up to the odd step that does not fit into the budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from arm_batch.core.allocation.histogram import Histogram
from arm_batch.core.allocation.knapsack import Allocation, allocate, cheapest
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.arrays import Counts, Floats
from arm_batch.core.prediction.lut import Lut
from arm_batch.core.prediction.metrics import PEAK

MAX_ROUNDS = 8
_LEAST_GAIN_DB = 1e-5


@dataclass(frozen=True)
class Quality:
    """What an allocation is predicted to reach, in dB.

    Attributes:
        tile_psnr_db: mean over tiles.
        pooled_psnr_db: from the squared error of all pixels together.
        image_psnr_db: mean over images, those of one class taken as alike.
    """

    tile_psnr_db: float
    pooled_psnr_db: float
    image_psnr_db: float

    def of(self, objective: Objective) -> float:
        """The figure that an objective maximises."""
        return {"psnr": self.tile_psnr_db, "mse": self.pooled_psnr_db, "image-psnr": self.image_psnr_db}[objective]


class HasTiles(Protocol):
    """Some form of an allocation."""

    @property
    def tiles(self) -> Counts:
        """``(n_classes, n_bins, n_subnets)``."""
        ...


Plan = TypeVar("Plan", bound=HasTiles)


def solve(objective: Objective, lut: Lut, histogram: Histogram, costs: Counts, budget: int) -> Allocation:
    """The allocation that makes an objective best within a budget of FLOPs.

    Raises:
        BudgetError: interpolation alone costs more.
    """
    return optimise(objective, lut, histogram, lambda value, w: allocate(histogram.tiles, value, w, costs, budget))


def optimise(
    objective: Objective, lut: Lut, histogram: Histogram, allocate_by: Callable[[Floats, Floats], Plan]
) -> Plan:
    """What makes an objective best, from whatever allocates by the value of tiles, in FLOPs or in time.

    Args:
        objective: what to make best.
        lut: predictions.
        histogram: of the archive.
        allocate_by: makes the best plan for the value of one tile, ``(n_bins, n_subnets)``, and what a unit of it
            counts for in each class, ``(n_classes,)``; called a few times.
    """
    if objective == "psnr":
        return allocate_by(lut.psnr_db, np.ones(1))
    if objective == "mse":
        return allocate_by(-lut.mse, np.ones(1))
    weights = image_weights(histogram.images, class_errors(lut, cheapest(histogram.tiles, lut.mse.shape[1])))
    best = allocate_by(-lut.mse, weights)
    reached = _mean_log_error_db(lut, histogram, best.tiles)
    for _ in range(MAX_ROUNDS):
        weights = image_weights(histogram.images, class_errors(lut, best.tiles))
        candidate = allocate_by(-lut.mse, weights)
        error = _mean_log_error_db(lut, histogram, candidate.tiles)
        if error > reached - _LEAST_GAIN_DB:
            break
        best, reached = candidate, error
    return best


def predict(lut: Lut, histogram: Histogram, tiles: Counts, tile_px: int) -> Quality:
    """The quality that an allocation's tiles ``(n_classes, n_bins, n_subnets)`` are predicted to reach.

    Args:
        lut: predictions.
        histogram: of the same images; at least one.
        tiles: of the allocation.
        tile_px: pixels of a whole tile, LR; tiles at the border have fewer, and errors count only there.
    """
    per_bin = tiles.sum(axis=0)
    errors = class_errors(lut, tiles) * tile_px
    pooled = errors.sum() / histogram.pixels.sum()
    there = histogram.images > 0
    per_image = errors[there] / histogram.pixels[there]
    return Quality(
        tile_psnr_db=float((lut.psnr_db * per_bin).sum() / per_bin.sum()),
        pooled_psnr_db=_db(pooled),
        image_psnr_db=float(np.average([_db(e) for e in per_image], weights=histogram.images[there])),
    )


def class_errors(lut: Lut, tiles: Counts) -> Floats:
    """Predicted squared error of each class in tiles times squared grey levels, ``(n_classes,)``."""
    return np.asarray((tiles * lut.mse).sum(axis=(1, 2)), np.float64)


def image_weights(images: Counts, errors: Floats) -> Floats:
    """What a tile's squared error counts for in the mean image PSNR: one over the error of an image of its class.

    Args:
        images: per class, ``(n_classes,)``.
        errors: of all of them together, as `class_errors` gives them.

    Returns:
        ``(n_classes,)``; 0 for classes without images.
    """
    return np.where(images > 0, images / np.maximum(errors, _TINY), 0.0)


def _mean_log_error_db(lut: Lut, histogram: Histogram, tiles: Counts) -> float:
    logs = 10 * np.log10(np.maximum(class_errors(lut, tiles), _TINY))
    return float((histogram.images * logs).sum() / max(histogram.images.sum(), 1))


def _db(mse: float) -> float:
    return 10 * math.log10(PEAK**2 / max(mse, _TINY))


_TINY = 1e-12
"""Stands for no error at all, so that logarithms and weights stay finite."""
