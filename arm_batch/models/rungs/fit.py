"""Tiles and halos that fit a model."""

from __future__ import annotations

from arm_batch.errors import LadderError

TILE_STEP = 32
LARGEST_TILE = 256

OVERHEAD = 1.6
"""What a window may have of the pixels of its tile; more is paid for halos than smaller tiles win."""

_ALIGNMENT = 8
"""Of tiles: what scores need."""


def fitting_tile(halo: int, fixed: int | None = None) -> int:
    """Side of the tiles that suit a halo, LR px: 32 to 256, the smallest on which it is no great cost.

    Args:
        halo: LR px.
        fixed: the only side of windows that the model takes, px; None where it takes others.

    Raises:
        LadderError: no tile fits into such windows.

    >>> fitting_tile(2), fitting_tile(12), fitting_tile(16), fitting_tile(100)
    (32, 96, 128, 256)
    >>> fitting_tile(12, fixed=64)
    40
    """
    if fixed is not None:
        tile = (fixed - 2 * halo) // _ALIGNMENT * _ALIGNMENT
        if tile < _ALIGNMENT or (fixed - tile) % 2:
            raise LadderError(
                f"the model takes windows of {fixed} px alone and sees {halo} px far: no tile of a multiple of "
                f"{_ALIGNMENT} px fits into them"
            )
        return tile
    sides = range(TILE_STEP, LARGEST_TILE, TILE_STEP)
    return next((tile for tile in sides if (tile + 2 * halo) ** 2 <= OVERHEAD * tile**2), LARGEST_TILE)


def fitting_halo(tile: int, halo: int, multiple: int = 1, minimum: int = 1, fixed: int | None = None) -> int:
    """The least halo of at least `halo` with which a tile makes a window that a model takes, LR px.

    Args:
        tile: side of a tile, LR px; even.
        halo: that is needed.
        multiple: what the sides of windows must be a multiple of.
        minimum: side of windows at least.
        fixed: the only side of windows; None where others are taken.

    Raises:
        LadderError: there is none.

    >>> fitting_halo(32, 3, multiple=16)
    8
    >>> fitting_halo(32, 3, minimum=64)
    16
    """
    if fixed is not None:
        if fixed < tile or (fixed - tile) % 2:
            raise LadderError(f"the model takes windows of {fixed} px alone, which tiles of {tile} px do not make")
        return (fixed - tile) // 2
    for wider in range(halo, halo + multiple + minimum):
        window = tile + 2 * wider
        if window % multiple == 0 and window >= minimum:
            return wider
    raise LadderError(
        f"the model takes windows of multiples of {multiple} px, which tiles of {tile} px do not make"
    )
