"""From measured tiles to a table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.prediction.calibrate_lut import (
    MIN_TILES,
    N_CUTS,
    ROUNDING_MSE,
    MeasuredTiles,
    bin_edges,
    tabulate,
)
from arm_batch.core.tiling.scores import Score
from arm_batch.errors import InputError

ONE = (Score("octave"),)
TWO = (Score("octave"), Score("laplacian"))


@st.composite
def measurements(draw: st.DrawFn, n_scores: int) -> MeasuredTiles:
    count, subnets = draw(st.integers(MIN_TILES, 400)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    # Few different scores make ties and thin bins.
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    scores = rng.integers(0, levels, (count, n_scores)).astype(np.float32) ** 2
    mse = rng.exponential(1 + scores[:, :1], (count, subnets)) * draw(st.sampled_from([0, 1]))
    return MeasuredTiles(scores, mse, rng.integers(0, 5, count))


@given(st.data(), st.sampled_from([ONE, TWO]), st.integers(1, 12))
def test_tables_have_neither_holes_nor_bumps(data: st.DataObject, scores: tuple[Score, ...], n_bins: int) -> None:
    measured = data.draw(measurements(len(scores)))
    lut = tabulate(scores, measured, {}, n_bins)
    assert len(lut.edges) < n_bins
    assert lut.tiles.sum() == len(measured.mse)
    np.testing.assert_array_equal(lut.histogram(measured.scores), lut.tiles)
    grid = lut.mse.reshape(len(lut.edges) + 1, -1, lut.mse.shape[1])
    assert (grid >= 0).all()
    assert (np.diff(grid, axis=2) <= 1e-9).all()
    # Steps never shrink with the first score, but for what cannot be taken away because it is not there.
    steps, there = grid[..., :-1] - grid[..., 1:], (grid[..., -1:] > 0)
    assert ((np.diff(steps, axis=0) >= -1e-9) | ~there[1:]).all()
    assert (np.diff(lut.psnr_db, axis=1) >= 0).all()
    firsts = lut.tiles.reshape(len(lut.edges) + 1, -1).sum(axis=1)
    assert firsts.min() >= MIN_TILES


def test_averages_are_those_of_the_bin_where_nothing_needs_pooling() -> None:
    rng = np.random.default_rng(0)
    scores = np.repeat([1.0, 5.0, 20.0], 40).astype(np.float32)[:, None]
    mse = np.array([[8.0, 6.0], [30.0, 20.0], [90.0, 50.0]]).repeat(40, axis=0) + rng.normal(0, 0.1, (120, 2))
    lut = tabulate(ONE, MeasuredTiles(scores, mse, np.arange(120)), {"weights": "w"}, 8)
    means = mse.reshape(3, 40, 2).mean(axis=1)
    np.testing.assert_allclose(lut.mse[lut.bin_of(np.array([[1.0], [5.0], [20.0]], np.float32))], means)
    expected = mse.reshape(3, 40, 2).std(axis=1) / np.sqrt(40)
    np.testing.assert_allclose(lut.standard_error, expected, rtol=1e-9)
    assert lut.provenance == {"weights": "w"}


def test_tiles_of_one_image_count_as_one_observation() -> None:
    scores = np.ones((40, 1), np.float32)
    mse = np.repeat([[1.0], [3.0], [1.0], [3.0]], 10, axis=0) @ np.ones((1, 2))
    alone = tabulate(ONE, MeasuredTiles(scores, mse, np.arange(40)), {})
    together = tabulate(ONE, MeasuredTiles(scores, mse, np.repeat(np.arange(4), 10)), {})
    np.testing.assert_allclose(alone.standard_error, 1 / np.sqrt(40))
    np.testing.assert_allclose(together.standard_error, 1 / np.sqrt(4))


def test_bins_that_contradict_their_neighbours_are_pooled() -> None:
    scores = np.repeat([1.0, 5.0, 20.0], 40).astype(np.float32)[:, None]
    # The middle bin loses where its neighbours gain 4 and 40: it shares their mean with the bin before.
    mse = np.array([[10.0, 6.0], [10.0, 12.0], [90.0, 50.0]]).repeat(40, axis=0)
    lut = tabulate(ONE, MeasuredTiles(scores, mse, np.arange(120)), {}, 8)
    rows = lut.mse[lut.bin_of(np.array([[1.0], [5.0], [20.0]], np.float32))]
    np.testing.assert_allclose(rows[:, 0] - rows[:, 1], [1, 1, 40])
    np.testing.assert_allclose(rows[:, 0], [10, 10, 90])


def test_flawless_tiles_do_not_decide_a_mean_in_db() -> None:
    scores = np.ones((20, 1), np.float32)
    mse = np.array([[100.0, 0.0]]).repeat(20, axis=0)
    lut = tabulate(ONE, MeasuredTiles(scores, mse, np.arange(20)), {})
    assert lut.psnr_db[0, 1] == pytest.approx(10 * np.log10(255**2 / ROUNDING_MSE))
    assert lut.mse[0, 1] == 0


def test_a_second_score_cuts_each_bin_into_equal_counts() -> None:
    rng = np.random.default_rng(0)
    scores = rng.exponential(10, (4000, 2)).astype(np.float32)
    lut = tabulate(TWO, MeasuredTiles(scores, (scores + 1.0).astype(np.float64), np.arange(4000)), {}, 10)
    counts = lut.tiles.reshape(-1, N_CUTS + 1)
    assert counts.shape == (10, 4)
    assert (np.ptp(counts, axis=1) <= 1).all()


def test_edges_share_the_square_roots_evenly() -> None:
    scores = np.random.default_rng(0).exponential(10, 10_000).astype(np.float32)
    edges = bin_edges(scores, 10)
    mass = [
        np.sqrt(scores[(scores >= low) & (scores < high)]).sum()
        for low, high in zip([0, *edges], [*edges, np.inf], strict=True)
    ]
    np.testing.assert_allclose(mass, np.mean(mass), rtol=0.02)


def test_too_few_tiles_are_refused() -> None:
    measured = MeasuredTiles(np.ones((9, 1), np.float32), np.ones((9, 2)), np.arange(9))
    with pytest.raises(InputError, match="9 tiles are too few"):
        tabulate(ONE, measured, {})
