"""Bands beside the colours, enlarged in pieces."""

import numpy as np
import pytest

from arm_batch.core.tiling.interpolation import enlarge_planes

MARGIN = 4
"""Rows beyond a piece that large images are enlarged with."""


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("height", [1, 33, 700])
def test_pieces_are_to_the_last_bit_what_the_whole_is(dtype: type, scale: int, height: int) -> None:
    planes = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (height, 41, 2), dtype, endpoint=True)
    whole = enlarge_planes(planes, scale)
    for top in range(0, height, 32):
        bottom, start = min(top + 32, height), max(0, top - MARGIN)
        piece = enlarge_planes(planes[start : bottom + MARGIN], scale)[(top - start) * scale :]
        np.testing.assert_array_equal(piece[: (bottom - top) * scale], whole[top * scale : bottom * scale])
