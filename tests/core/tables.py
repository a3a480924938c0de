"""Small tables and archives for tests of planning."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from arm_batch.core.allocation.histogram import Histogram, take_histogram
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.allocation.objective import class_errors
from arm_batch.core.prediction.lut import Lut
from arm_batch.core.tiling.scores import Score

COSTS = np.array([1, 40, 70, 100])


def table(n_bins: int, seed: int = 0) -> Lut:
    """Errors rise with the bin and fall with cost."""
    rng = np.random.default_rng(seed)
    level = np.cumsum(rng.exponential(20, n_bins))
    mse = level[:, None] * np.cumprod(rng.uniform(0.6, 1, (n_bins, 4)), axis=1)
    psnr = 10 * np.log10(255**2 / mse)
    zeros = np.zeros_like(mse)
    counts = np.ones(n_bins, np.int64)
    edges = np.arange(1.0, n_bins)
    return Lut(
        scores=(Score("octave"),),
        edges=edges,
        cuts=np.empty((n_bins, 0)),
        mse=mse,
        psnr_db=psnr,
        standard_error=zeros,
        tiles=counts,
        provenance={},
    )


@st.composite
def archives(draw: st.DrawFn, most: int = 60) -> tuple[Lut, list[np.ndarray]]:
    n_bins = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = draw(st.lists(st.integers(1, most), min_size=1, max_size=8))
    return table(n_bins, draw(st.integers(0, 99))), [rng.integers(0, n_bins, size) for size in sizes]


def census_of(objective: Objective, lut: Lut, images: list[np.ndarray]) -> Histogram:
    return take_histogram(objective, lut, [(bins, 64 * len(bins)) for bins in images])


def log_error(histogram: Histogram, lut: Lut, tiles: np.ndarray) -> float:
    there = histogram.images > 0
    errors = class_errors(lut, tiles)[there] / histogram.images[there]
    return float((histogram.images[there] * np.log10(errors)).sum())
