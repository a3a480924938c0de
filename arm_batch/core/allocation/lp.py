"""Allocation over pools of devices, where time is bounded and not only FLOPs.

How long a tile takes depends on the subnet and on the kind of device, and not in proportion to FLOPs. Which
tiles get which subnet on which devices is a linear program: the value is a sum over tiles, and so are the FLOPs
and each pool's busy seconds. Its fractions are rounded down to whole tiles; the tiles left over, one or two for
each bound, go to what still fits, for which the program leaves room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arm_batch.core.arrays import Counts, Floats
from arm_batch.errors import BudgetError

_SOLVER_TOLERANCE = 1e-6
"""Relative; the program's bounds are drawn in by this, because HiGHS may overstep them by 1e-7."""

_WHOLE = 1e-9
"""Shares this near below a whole tile are one."""

_TINY = 1e-300


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Devices of one kind.

    Attributes:
        kind: such as ``cpu`` or ``gpu``.
        devices: how many, at least one.
        seconds: measured, of one device for one tile of each subnet, ``(n_subnets,)``.
        most_seconds: bound on the seconds that all of them together are busy; infinite for none.
    """

    kind: str
    devices: int
    seconds: Floats
    most_seconds: float = np.inf


@dataclass(frozen=True, kw_only=True)
class DeviceAllocation:
    """Which tiles get which subnet, and where.

    Attributes:
        tiles: ``(n_bins, n_subnets, n_pools)``.
        flops: spent.
        busy_seconds: of each pool, all its devices together, ``(n_pools,)``.
        wall_seconds: of the pool that ends last, its devices sharing evenly.
    """

    tiles: Counts
    flops: int
    busy_seconds: Floats
    wall_seconds: float


def allocate_devices(
    histogram: Counts,
    value: Floats,
    costs: Counts,
    pools: Sequence[Pool],
    flops: float = np.inf,
    wall_seconds: float = np.inf,
) -> DeviceAllocation:
    """The allocation of most value that keeps every bound, up to a few tiles.

    Args:
        histogram: tiles per bin or cell, ``(n_bins,)``.
        value: of one tile, ``(n_bins, n_subnets)``.
        costs: FLOPs of one tile, ``(n_subnets,)``, ascending.
        pools: at least one.
        flops: bound on FLOPs.
        wall_seconds: bound on the wall time of the run.

    Raises:
        BudgetError: no allocation keeps every bound with room for the tiles that rounding leaves over.
    """
    use = _use(costs, pools)
    walls = [min(pool.most_seconds, wall_seconds * pool.devices) for pool in pools]
    bounds = np.array([*walls, flops], np.float64)
    fractions = _solve(histogram, value, use, bounds)
    tiles = np.floor(fractions * histogram[:, None, None] + _WHOLE).astype(np.int64)
    _place_leftovers(tiles, histogram - tiles.sum(axis=(1, 2)), value, use, bounds)
    used = np.tensordot(tiles.sum(axis=0), use, 2)
    wall = max(float(busy) / pool.devices for busy, pool in zip(used, pools, strict=False))
    spent = sum(int(n) * int(c) for n, c in zip(tiles.sum(axis=(0, 2)), costs, strict=True))
    return DeviceAllocation(tiles=tiles, flops=spent, busy_seconds=used[:-1], wall_seconds=wall)


def _use(costs: Counts, pools: Sequence[Pool]) -> Floats:
    """What a tile takes of the pools' seconds and of FLOPs: ``(n_subnets, n_pools, n_pools + 1)``."""
    use = np.zeros((len(costs), len(pools), len(pools) + 1))
    for place, pool in enumerate(pools):
        use[:, place, place] = pool.seconds
        use[:, place, -1] = costs
    return use


def _solve(histogram: Counts, value: Floats, use: Floats, bounds: Floats) -> Floats:
    """The share of each bin's tiles for each subnet and pool, ``(n_bins, n_subnets, n_pools)``, at a vertex."""
    filled = np.flatnonzero(histogram)
    shares = np.zeros((len(histogram), *use.shape[:2]))
    if not len(filled):
        return shares
    count = histogram[filled].astype(np.float64)
    gain = (value[filled] - value[filled].min()) * count[:, None]
    objective = -np.repeat(gain[:, :, None] / max(float(gain.max()), _TINY), use.shape[1], axis=2)
    bounded = np.isfinite(bounds)
    # Room for what rounding leaves over: a vertex has at most one fraction more for each bound than for each bin.
    room = 2 * len(bounds) * use[0].max(axis=0)
    limits = (bounds * (1 - _SOLVER_TOLERANCE) - room)[bounded]
    amounts = count[:, None, None, None] * use[..., bounded]
    # Here, and not above: it takes a third of a second to import, which every worker of a cluster would spend.
    from scipy import sparse
    from scipy.optimize import linprog

    result = linprog(
        objective.ravel(),
        A_ub=amounts.reshape(-1, len(limits)).T / np.maximum(np.abs(limits), _TINY)[:, None],
        b_ub=np.sign(limits),
        A_eq=sparse.kron(sparse.eye(len(filled)), np.ones((1, objective[0].size)), format="csr"),
        b_eq=np.ones(len(filled)),
        bounds=(0, 1),
        method="highs-ds",
    )
    if result.x is None:
        raise BudgetError("the budget is less than interpolation alone needs on these devices")
    shares[filled] = result.x.reshape(objective.shape)
    return shares


def _place_leftovers(tiles: Counts, missing: Counts, value: Floats, use: Floats, bounds: Floats) -> None:
    """Give each tile that rounding left over the subnet and pool of most value that still fit."""
    left = bounds - np.tensordot(tiles.sum(axis=0), use, 2)
    if (left < 0).any():
        raise BudgetError("the budget is too tight for whole tiles")
    for place in np.repeat(np.arange(len(missing)), np.maximum(missing, 0)):
        fits = (use <= left).all(axis=2)
        if not fits.any():
            raise BudgetError("the budget is less than interpolation alone needs on these devices")
        worth = np.where(fits, value[place][:, None], -np.inf)
        subnet, pool = np.unravel_index(int(worth.argmax()), worth.shape)
        tiles[place, subnet, pool] += 1
        left = left - use[subnet, pool]
