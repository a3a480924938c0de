"""Dividing an allocation among shards, and a shard's share among its tiles.

A shard holds tiles of few of all the cells there are, so only those it has are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arm_batch.core.arrays import Counts, Indices, Singles


@dataclass(frozen=True)
class ShardAllocation:
    """What of an allocation falls to one shard.

    Attributes:
        cells: that it has tiles of, ascending, ``(n,)``.
        tiles: ``(n, n_subnets)``.
        revision: the allocation's, see `runstate.allocation`.
    """

    cells: Counts
    tiles: Counts
    revision: int = 0

    @property
    def per_subnet(self) -> Counts:
        """Tiles per subnet, ``(n_subnets,)``."""
        return np.asarray(self.tiles.sum(axis=0), np.int64)


def apportion(tiles: Counts, cells: Counts, counts: Counts) -> Counts:
    """Divide an allocation among shards, exactly and independently of the order they run in.

    For each cell and subnet the shards' shares follow their tile counts, rounded so that every running total is
    the floor of its exact value: shares are whole, none exceeds what the shard has, and they add up.

    Args:
        tiles: ``(n_cells, n_subnets)`` over the archive.
        cells: of each entry, an entry being one cell of one shard, shard by shard, ``(n_entries,)``.
        counts: tiles of each entry, ``(n_entries,)``; those of a cell add up to its row of `tiles`.

    Returns:
        ``(n_entries, n_subnets)``, summing over subnets to `counts`.
    """
    order = np.argsort(cells, kind="stable")
    cells, below = cells[order], counts[order]
    first = np.flatnonzero(np.diff(cells, prepend=-1))
    shares = np.zeros((len(cells), tiles.shape[1]), np.int64)
    for subnet in range(tiles.shape[1]):
        # `above`: tiles of each shard that get a costlier subnet than this one.
        above = _proportional(below, first, tiles[:, subnet + 1 :].sum(axis=1)[cells])
        shares[order, subnet] = below - above
        below = above
    return shares


def assign(scores: Singles, cells: Indices, share: ShardAllocation) -> Indices:
    """The subnet of each tile of a shard, from the shard's share.

    Inside a cell the tiles with the higher score get the costlier subnets; equal scores go by position.

    Args:
        scores: of the shard's tiles in plan order, ``(n_tiles,)``.
        cells: of each, ``(n_tiles,)``.
        share: of the shard.

    Returns:
        Subnet index per tile, ``(n_tiles,)``.
    """
    order = np.lexsort((-scores, cells))
    n_cells, n_subnets = share.tiles.shape
    descending = np.tile(np.arange(n_subnets)[::-1], n_cells)
    subnets = np.empty(len(scores), np.intp)
    subnets[order] = np.repeat(descending, share.tiles[:, ::-1].ravel())
    return subnets


def _proportional(weights: Counts, first: Indices, total: Counts) -> Counts:
    """Split each cell's total over its entries in proportion to their weights, by floors of running totals.

    Args:
        weights: of the entries, cell by cell, ``(n,)``.
        first: where each cell begins, ``(n_cells,)``.
        total: of each entry's cell, ``(n,)``.
    """
    if not len(weights):
        return weights
    lengths = np.diff(first, append=len(weights))
    running = np.cumsum(weights)
    running -= np.repeat(running[first] - weights[first], lengths)
    whole = np.maximum(np.repeat(running[first + lengths - 1], lengths), 1)
    if int(whole.max()) * int(total.max()) >= 2**63:
        # Beyond 64 bits (some 3 * 10**9 tiles in a cell): Python's integers, slower but exact.
        running = running.astype(object)
    reached = np.asarray(running * total // whole).astype(np.int64)
    before = np.concatenate([[0], reached[:-1]])
    before[first] = 0
    return np.asarray(reached - before, np.int64)
