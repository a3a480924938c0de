"""Tiles and halos that models take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.errors import LadderError
from arm_batch.models.rungs.fit import LARGEST_TILE, OVERHEAD, fitting_halo, fitting_tile


@given(halo=st.integers(0, 128))
def test_a_tile_is_no_larger_than_its_halo_asks_for(halo: int) -> None:
    tile = fitting_tile(halo)
    assert tile % 32 == 0
    assert 32 <= tile <= LARGEST_TILE
    assert tile == LARGEST_TILE or (tile + 2 * halo) ** 2 <= OVERHEAD * tile**2
    assert tile == 32 or (tile - 32 + 2 * halo) ** 2 > OVERHEAD * (tile - 32) ** 2


@given(
    tile=st.integers(1, 32).map(lambda n: 8 * n),
    halo=st.integers(0, 40),
    multiple=st.integers(1, 64),
    minimum=st.integers(1, 256),
)
def test_a_window_is_of_the_multiple_and_the_least_that_will_do(
    tile: int, halo: int, multiple: int, minimum: int
) -> None:
    found = fitting_halo(tile, halo, multiple, minimum)
    fit = [h for h in range(halo, found + 1) if (tile + 2 * h) % multiple == 0 and tile + 2 * h >= minimum]
    assert fit == [found]


def test_a_model_of_one_side_decides_on_the_tile() -> None:
    tile = fitting_tile(5, fixed=64)
    assert (tile, fitting_halo(tile, 5, fixed=64)) == (48, 8)
    with pytest.raises(LadderError, match="takes windows of 64 px alone and sees 30 px far"):
        fitting_tile(30, fixed=64)
    with pytest.raises(LadderError, match="takes windows of 64 px alone, which tiles of 96 px do not make"):
        fitting_halo(96, 5, fixed=64)
