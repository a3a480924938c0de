"""Building the LUT of a ladder from images that its training has not seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from arm_batch.core.lut import Lut
from arm_batch.core.quality import psnr_of_mse
from arm_batch.core.score import edge_scores
from arm_batch.core.tiles import TileGrid, take
from arm_batch.errors import InputError
from arm_batch.nets.data import Pair
from arm_batch.nets.infer import Upscaler

N_BINS = 30
"""As in the paper."""

MIN_TILES_PER_BIN = 10

MSE_FLOOR = 255.0**2 / 10**8
"""Squared error at which a tile's PSNR is taken as 80 dB, so that a flawless tile does not make it infinite."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TileSample:
    """Measured tiles.

    Attributes:
        scores: ``(n,)``.
        mse: mean squared error of every subnet, ``(n, n_subnets)``, in squared 8-bit grey levels.
    """

    scores: NDArray[np.float32]
    mse: Floats


def sample_tiles(upscaler: Upscaler, n_subnets: int, grid: TileGrid, pairs: Iterable[Pair]) -> TileSample:
    """Measure every subnet on every whole tile of `pairs`.

    Tiles are cut, run and scored as the job does it; the grid is laid four times, shifted by half a tile, to
    have more of them.
    """
    scores, errors = [], []
    for pair in pairs:
        for top in (0, grid.tile // 2):
            for left in (0, grid.tile // 2):
                tile_scores, tile_errors = _measure(upscaler, n_subnets, grid, pair, top, left)
                scores.append(tile_scores)
                errors.append(tile_errors)
    return TileSample(np.concatenate(scores), np.concatenate(errors))


def build_lut(sample: TileSample, provenance: dict[str, str], n_bins: int = N_BINS) -> Lut:
    """Average measured tiles per score bin.

    Raises:
        InputError: there are too few tiles for `n_bins` bins.
    """
    scores, mse = sample.scores, sample.mse
    edges = bin_edges(scores, n_bins)
    bins = np.searchsorted(edges[1:-1], scores, side="right")
    counts = np.bincount(bins, minlength=n_bins)
    if counts.min() < MIN_TILES_PER_BIN:
        raise InputError(f"{len(scores)} tiles are too few for a LUT of {n_bins} bins: add images")
    psnr = psnr_of_mse(np.maximum(mse, MSE_FLOOR))
    return Lut(
        edges=edges,
        mse=never_rising([mse[bins == b].mean(axis=0) for b in range(n_bins)]),
        psnr_db=np.stack([psnr[bins == b].mean(axis=0) for b in range(n_bins)]),
        tiles=counts.astype(np.int64),
        provenance=provenance,
    )


def bin_edges(scores: NDArray[np.float32], n_bins: int) -> Floats:
    """Edges between which the summed square roots of the scores are equal, ``(n_bins + 1,)``.

    Equal widths (as published) leave the top bins almost empty, equal counts spend most bins on flat tiles;
    this lies between the two.
    """
    ascending = np.sort(scores.astype(np.float64))
    mass = np.cumsum(np.sqrt(ascending) + 1e-6)
    cuts = np.interp(np.arange(1, n_bins) / n_bins, mass / mass[-1], ascending)
    edges = np.concatenate([[0.0], cuts, [256.0]])
    if (np.diff(edges) <= 0).any():
        raise InputError(f"the scores of {len(scores)} tiles are too alike for {n_bins} bins: add images")
    return edges


def never_rising(rows: Sequence[Floats]) -> Floats:
    """Each row's least-squares fit that never rises: a costlier subnet is never predicted to be worse."""
    return np.stack([isotonic_regression(row, increasing=False).x for row in rows])


def _measure(
    upscaler: Upscaler, n_subnets: int, grid: TileGrid, pair: Pair, top: int, left: int
) -> tuple[NDArray[np.float32], Floats]:
    """Scores ``(n,)`` and mean squared errors ``(n, n_subnets)`` of the whole tiles of a shifted image."""
    scale = pair.hr.shape[0] // pair.lr.shape[0]
    rows, columns = (
        (side - offset) // grid.tile for side, offset in zip(pair.lr.shape, (top, left), strict=False)
    )
    height, width = rows * grid.tile, columns * grid.tile
    if not rows or not columns:
        return np.empty(0, np.float32), np.empty((0, n_subnets))
    lr = pair.lr[top : top + height, left : left + width]
    hr = pair.hr[scale * top : scale * (top + height), scale * left : scale * (left + width)]
    tiles = np.arange(rows * columns)
    windows = take(grid.windows(lr), tiles)
    wanted = take(TileGrid(grid.tile * scale, 0).windows(hr), tiles).astype(np.float64)
    errors = [((upscaler.run(s, [windows])[0] - wanted) ** 2).mean(axis=(1, 2, 3)) for s in range(n_subnets)]
    return edge_scores(lr, grid), np.stack(errors, axis=1)
