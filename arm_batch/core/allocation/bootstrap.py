"""How far a random sample of an archive can be trusted: the bootstrap over its images.

Images are drawn again from the sample, with replacement and as many as it has, and everything is computed anew
from the draw; 95 % of the draws lie in the interval (Efron & Tibshirani, "An Introduction to the Bootstrap",
1993). What was sampled is known for good, so the intervals shrink to nothing as the sample becomes the archive:
by the square root of the share not seen, as for any mean of a sample without replacement.

The draws come from the caller, as how often each image was drawn: nothing here is random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arm_batch.core.allocation.curve import CurvePoint, Planner
from arm_batch.core.allocation.histogram import ShardHistogram
from arm_batch.core.allocation.knapsack import Allocation
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.arrays import Counts, Floats
from arm_batch.core.prediction.metrics import PEAK

QUANTILES = (0.025, 0.975)

_TINY = 1e-12


@dataclass(frozen=True)
class Interval:
    """Where the figure of the whole archive lies with a confidence of 95 %."""

    low: float
    high: float


def mean_interval(values: Floats, draws: Counts, seen: float) -> Interval:
    """The interval of a mean over images.

    Args:
        values: of each image of the sample, ``(n_images,)``.
        draws: how often each draw has each image, ``(n_draws, n_images)``.
        seen: share of the archive that was sampled, 0..1.
    """
    return _interval(float(values.mean()), draws @ values / draws.sum(axis=1), seen)


def quality_intervals(
    planner: Planner, images: Sequence[ShardHistogram], points: Sequence[CurvePoint], draws: Counts, seen: float
) -> list[Interval]:
    """The intervals of the objective's figure at each of several spends.

    A draw keeps to the subnets that each point gives to each cell. That spends a little more or less of the
    largest subnet everywhere than the point does, so the draw's curve is read where it spends the same share.

    Args:
        planner: of the sample.
        images: of the sample, a histogram for each; one without tiles for an image that cannot be read.
        points: of the sample, in any order; many and close, so that one can read between them.
        draws: how often each draw has each image, ``(n_draws, n_images)``.
        seen: share of the archive that was sampled, 0..1.
    """
    archive = _Images(planner, images)
    # Floats, for the fast products of matrices; a draw of nothing but unreadable images has no figure.
    counted = draws[draws @ archive.tiles > 0].astype(np.float64)
    full = (counted @ archive.tiles) * float(planner.costs[-1])
    shares, figures = [], []
    for point in sorted(points, key=lambda point: point.spend):
        spends, errors, decibels = archive.under(point.allocation)
        shares.append(counted @ spends / full)
        figures.append(archive.figures(counted, errors, decibels))
    by_draw = list(zip(np.array(shares).T, np.array(figures).T, strict=True))
    intervals = []
    for point in points:
        drawn = np.array([np.interp(point.spend / planner.full, share, figure) for share, figure in by_draw])
        intervals.append(_interval(point.quality.of(planner.objective), drawn, seen))
    return intervals


class _Images:
    """The images of a sample side by side, to be added up for each draw."""

    def __init__(self, planner: Planner, images: Sequence[ShardHistogram]) -> None:
        self._planner = planner
        self._cells = np.concatenate([image.cells for image in images])
        self._counts = np.concatenate([image.tiles for image in images])
        self._owner = np.repeat(np.arange(len(images)), [len(image.cells) for image in images])
        self._size = len(images)
        used = np.unique(np.concatenate([image.classes for image in images]))
        self._members = np.zeros((len(images), len(used)))
        self._pixels = np.zeros((len(images), len(used)))
        for position, image in enumerate(images):
            columns = np.searchsorted(used, image.classes)
            self._members[position, columns] = image.images
            self._pixels[position, columns] = image.pixels
        self.tiles = self._sum(np.ones(planner.histogram.tiles.size))

    def under(self, allocation: Allocation) -> tuple[Floats, Floats, Floats]:
        """FLOPs, squared error in tiles times squared grey levels and summed tile PSNR of each image."""
        counts = np.maximum(self._planner.histogram.tiles, 1)[..., None]
        mix = allocation.tiles / counts
        lut, costs = self._planner.lut, self._planner.costs
        spends, errors, decibels = ((mix * worth).sum(axis=2).ravel() for worth in (costs, lut.mse, lut.psnr_db))
        return self._sum(spends), self._sum(errors), self._sum(decibels)

    def figures(self, draws: Floats, errors: Floats, decibels: Floats) -> Floats:
        """The objective's figure of each draw, from what `under` gives, ``(n_draws,)``."""
        objective: Objective = self._planner.objective
        if objective == "psnr":
            return np.asarray(draws @ decibels / (draws @ self.tiles))
        by_class = draws @ (errors[:, None] * self._members) * self._planner.tile_px
        pixels = draws @ self._pixels
        if objective == "mse":
            return _db(by_class.sum(axis=1) / pixels.sum(axis=1))
        members = draws @ self._members
        per_image = np.where(members > 0, _db(by_class / np.maximum(pixels, 1)), 0.0)
        return np.asarray((members * per_image).sum(axis=1) / members.sum(axis=1))

    def _sum(self, per_cell: Floats) -> Floats:
        """Per image, of what each of its tiles counts by its cell."""
        return np.bincount(self._owner, self._counts * per_cell[self._cells], self._size).astype(np.float64)


def _interval(value: float, drawn: Floats, seen: float) -> Interval:
    low, high = np.quantile(drawn, QUANTILES)
    unseen = math.sqrt(1 - seen)
    return Interval(value + min(float(low) - value, 0.0) * unseen, value + max(float(high) - value, 0.0) * unseen)


def _db(mse: Floats) -> Floats:
    return np.asarray(10 * np.log10(PEAK**2 / np.maximum(mse, _TINY)))
