"""From measured tiles to a LUT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from arm_batch.core.arrays import Counts, Floats, Indices, Singles
from arm_batch.core.prediction.lut import Lut
from arm_batch.core.prediction.metrics import psnr_of_mse
from arm_batch.core.tiling.scores import Score
from arm_batch.errors import InputError

N_BINS = 30
"""Bins of the first score, as in the paper."""

N_CUTS = 3
"""Inner edges of a second score inside each bin of the first."""

MIN_TILES = 10
"""A bin of the first score with fewer tiles is joined to its neighbour."""

ROUNDING_MSE = 1 / 12
"""Squared error that rounding to 8 bits leaves by itself. A tile's PSNR is taken from no less (59 dB): beyond it
a difference in dB is a difference in nothing, yet would count in the mean like any other."""


@dataclass(frozen=True)
class MeasuredTiles:
    """What every subnet reached on every tile.

    Attributes:
        scores: ``(n, n_scores)``.
        mse: mean squared error over all pixels of the tile, in squared 8-bit grey levels, ``(n, n_subnets)``.
        image: number of the image that the tile is from, ``(n,)``.
    """

    scores: Singles
    mse: Floats
    image: Indices


def tabulate(
    scores: tuple[Score, ...],
    measured: MeasuredTiles,
    provenance: dict[str, str],
    n_bins: int = N_BINS,
) -> Lut:
    """Average measured tiles per bin.

    Tiles of a higher score have more to win, and a costlier subnet does not do worse: where the averages say
    otherwise, bins are pooled until they do not (isotonic regression). So what subnets win has neither holes
    nor bumps where tiles are few.

    Raises:
        InputError: there are fewer tiles than one bin needs.
    """
    if len(measured.mse) < MIN_TILES:
        raise InputError(f"{len(measured.mse)} tiles are too few for a LUT: add images")
    edges = bin_edges(measured.scores[:, 0], n_bins)
    first = np.searchsorted(edges, measured.scores[:, 0], side="right")
    cuts = np.empty((len(edges) + 1, 0))
    if len(scores) == 2:
        cuts = np.stack([_equal_counts(measured.scores[first == b, 1]) for b in range(len(edges) + 1)])
    second = (measured.scores[:, -1:] >= cuts[first]).sum(axis=1)
    shape = (len(edges) + 1, cuts.shape[1] + 1)
    cell = first * shape[1] + second
    counts = np.bincount(cell, minlength=shape[0] * shape[1]).astype(np.int64)
    mean = _means(measured.mse, cell, counts)
    psnr = _means(psnr_of_mse(np.maximum(measured.mse, ROUNDING_MSE)), cell, counts)
    return Lut(
        scores=scores,
        edges=edges,
        cuts=cuts,
        mse=_smooth(mean, counts, shape),
        psnr_db=np.maximum.accumulate(_filled(psnr, counts, shape), axis=1),
        standard_error=_standard_error(measured, cell, counts, mean),
        tiles=counts,
        provenance=provenance,
    )


def bin_edges(scores: Singles, n_bins: int) -> Floats:
    """At most ``n_bins - 1`` inner edges between which the summed square roots of the scores are equal.

    Equal widths (as published) leave the top bins almost empty, equal counts spend most bins on flat tiles;
    this lies between the two. Edges that would leave fewer than `MIN_TILES` in a bin are left out.
    """
    ascending = np.sort(scores.astype(np.float64))
    mass = np.cumsum(np.sqrt(ascending) + 1e-6)
    wanted = np.interp(np.arange(1, n_bins) / n_bins, mass / mass[-1], ascending)
    edges: list[float] = []
    below = 0
    for edge in wanted:
        position = int(np.searchsorted(ascending, edge))
        if position - below >= MIN_TILES and len(ascending) - position >= MIN_TILES:
            edges.append(float(edge))
            below = position
    return np.array(edges, np.float64)


def _equal_counts(scores: Singles) -> Floats:
    return np.quantile(scores.astype(np.float64), np.arange(1, N_CUTS + 1) / (N_CUTS + 1))


def _means(values: Floats, cell: Indices, counts: Counts) -> Floats:
    sums = np.stack([np.bincount(cell, column, len(counts)) for column in values.T], axis=1)
    return np.asarray(sums / np.maximum(counts, 1)[:, None], np.float64)


def _standard_error(measured: MeasuredTiles, cell: Indices, counts: Counts, mean: Floats) -> Floats:
    """Of each bin's mean: from the spread of the sums per image, as tiles of one image are much alike."""
    images = int(measured.image.max()) + 1
    place = cell * images + measured.image
    squares = []
    for deviation in (measured.mse - mean[cell]).T:
        sums = np.bincount(place, deviation, len(counts) * images).reshape(len(counts), images)
        squares.append((sums**2).sum(axis=1))
    return np.asarray(np.sqrt(np.stack(squares, axis=1)) / np.maximum(counts, 1)[:, None], np.float64)


def _smooth(mean: Floats, counts: Counts, shape: tuple[int, int]) -> Floats:
    """Errors of which every step from one subnet to the next takes away no less where the first score is higher.

    What interpolation leaves is kept as measured: it decides how images compare, and pooling it costs accuracy.
    """
    filled = _filled(mean, counts, shape)
    steps = (filled[:, :-1] - filled[:, 1:]).reshape(*shape, -1)
    weights = np.maximum(counts, 1).reshape(shape).astype(np.float64)
    for second in range(shape[1]):
        for step in range(steps.shape[2]):
            fit = isotonic_regression(steps[:, second, step], weights=weights[:, second])
            steps[:, second, step] = np.maximum(fit.x, 0)
    removed = np.cumsum(steps, axis=2).reshape(len(mean), -1)
    # Only where tiles are very few can more be taken away than there is.
    return np.hstack([filled[:, :1], np.maximum(filled[:, :1] - removed, 0)])


def _filled(values: Floats, counts: Counts, shape: tuple[int, int]) -> Floats:
    """Empty bins (ties of the second score) take the mean of their bin of the first."""
    grid, weights = values.reshape(*shape, -1), counts.reshape(shape)
    rows = (grid * weights[..., None]).sum(axis=1) / weights.sum(axis=1)[:, None]
    return np.where(weights[..., None] > 0, grid, rows[:, None]).reshape(values.shape)
