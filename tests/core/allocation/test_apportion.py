"""Sharing an allocation out among shards and tiles."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.allocation.apportion import ShardAllocation, assign
from arm_batch.core.allocation.apportion import apportion as share_out_entries


def apportion(tiles: np.ndarray, histograms: np.ndarray) -> np.ndarray:
    """`apportion` for histograms ``(n_shards, n_cells)``, with entries only where a shard has tiles."""
    shards, cells = np.nonzero(histograms)
    shares = np.zeros((*histograms.shape, tiles.shape[1]), np.int64)
    shares[shards, cells] = share_out_entries(tiles, cells, histograms[shards, cells])
    return shares


@st.composite
def shards(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """An allocation ``(n_bins, n_subnets)`` and shard histograms that it belongs to."""
    n_shards, n_bins, n_subnets = (draw(st.integers(1, 5)) for _ in range(3))
    most = draw(st.sampled_from([3, 1000, 4 * 10**9]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    histograms = rng.integers(0, most, (n_shards, n_bins), endpoint=True)
    cuts = np.sort(rng.integers(0, histograms.sum(axis=0), (n_subnets - 1, n_bins), endpoint=True), axis=0)
    bounds = np.vstack([np.zeros((1, n_bins), np.int64), cuts, histograms.sum(axis=0)[None]])
    return np.diff(bounds, axis=0).T, histograms


@given(shards())
def test_shares_add_up_over_shards_and_subnets(case: tuple[np.ndarray, np.ndarray]) -> None:
    tiles, histograms = case
    shares = apportion(tiles, histograms)
    assert shares.dtype == np.int64
    assert (shares >= 0).all()
    np.testing.assert_array_equal(shares.sum(axis=0), tiles)
    np.testing.assert_array_equal(shares.sum(axis=2), histograms)


@given(st.integers(1, 9), st.integers(0, 50), st.integers(1, 9))
def test_equal_shards_get_equal_shares_up_to_rounding(n_shards: int, each: int, denominator: int) -> None:
    costly = n_shards * each // denominator
    shares = apportion(np.array([[n_shards * each - costly, costly]]), np.full((n_shards, 1), each))
    assert np.ptp(shares, axis=0).max() <= 1


def test_shares_follow_the_tile_counts() -> None:
    shares = apportion(np.array([[6, 4]]), np.array([[5], [0], [5]]))
    assert shares.tolist() == [[[3, 2]], [[0, 0]], [[3, 2]]]


@st.composite
def shard_tiles(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n_bins, n_subnets = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(0, 40))
    scores = rng.integers(0, 8, count).astype(np.float32)
    bins = (scores * n_bins // 8).astype(np.intp)
    picks = rng.integers(0, n_subnets, count)
    share = np.zeros((n_bins, n_subnets), np.int64)
    np.add.at(share, (bins, picks), 1)
    return scores, bins, share


@given(shard_tiles())
def test_tiles_get_exactly_their_bins_share(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    scores, bins, share = case
    subnets = assign(scores, bins, ShardAllocation(np.arange(len(share)), share))
    counts = np.zeros_like(share)
    np.add.at(counts, (bins, subnets), 1)
    np.testing.assert_array_equal(counts, share)
    again = assign(scores.copy(), bins.copy(), ShardAllocation(np.arange(len(share)), share.copy()))
    np.testing.assert_array_equal(subnets, again)


@given(shard_tiles())
def test_inside_a_bin_the_higher_scores_get_the_costlier_subnets(
    case: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    scores, bins, share = case
    subnets = assign(scores, bins, ShardAllocation(np.arange(len(share)), share))
    for b in range(len(share)):
        inside = np.flatnonzero(bins == b)
        # By score from the highest, equal ones by position: the subnets never get costlier.
        order = inside[np.argsort(-scores[inside], kind="stable")]
        assert (np.diff(subnets[order]) <= 0).all()
