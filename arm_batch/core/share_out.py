"""Dividing an allocation among shards, and a shard's share among its tiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from arm_batch.core.allocate import Counts


def share_out(tiles: Counts, histograms: Counts) -> Counts:
    """Divide an allocation among shards, exactly and independently of the order they run in.

    For each bin and subnet the shards' shares follow their tile counts, rounded so that every running total is
    the floor of its exact value: shares are whole, none exceeds what the shard has, and they add up.

    Args:
        tiles: ``(n_bins, n_subnets)`` over the archive.
        histograms: tiles per shard and bin, ``(n_shards, n_bins)``; column sums equal the row sums of `tiles`.

    Returns:
        ``(n_shards, n_bins, n_subnets)``, summing to `tiles` over shards and to `histograms` over subnets.
    """
    n_shards, n_bins = histograms.shape
    shares = np.zeros((n_shards, n_bins, tiles.shape[1]), np.int64)
    below = histograms
    for subnet in range(tiles.shape[1]):
        # `above`: tiles of each shard that get a costlier subnet than this one.
        above = _proportional(below, tiles[:, subnet + 1 :].sum(axis=1))
        shares[:, :, subnet] = below - above
        below = above
    return shares


def assign(scores: NDArray[np.float32], bins: NDArray[np.intp], share: Counts) -> NDArray[np.intp]:
    """The subnet of each tile of a shard, from the shard's share.

    Inside a bin the tiles with the higher score get the costlier subnets; equal scores go by position.

    Args:
        scores: of the shard's tiles in plan order, ``(n_tiles,)``.
        bins: their bins, ``(n_tiles,)``.
        share: ``(n_bins, n_subnets)``, summing over subnets to the tiles per bin.

    Returns:
        Subnet index per tile, ``(n_tiles,)``.
    """
    order = np.lexsort((-scores, bins))
    descending = np.tile(np.arange(share.shape[1])[::-1], share.shape[0])
    subnets = np.empty(len(scores), np.intp)
    subnets[order] = np.repeat(descending, share[:, ::-1].ravel())
    return subnets


def _proportional(weights: Counts, total: Counts) -> Counts:
    """Split ``total[bin]`` over shards in proportion to ``weights[shard, bin]``, by floors of running totals."""
    running = np.vstack([np.zeros_like(total), np.cumsum(weights, axis=0)])
    whole = np.maximum(running[-1], 1)
    if int(whole.max()) * int(total.max()) >= 2**63:
        # Beyond 64 bits (some 3 * 10**9 tiles in a bin): Python's integers, slower but exact.
        running = running.astype(object)
    shares: Counts = np.diff(running * total // whole, axis=0).astype(np.int64)
    return shares
