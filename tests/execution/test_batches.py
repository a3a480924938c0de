from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.execution.batches import BATCH_TILES, batch_subnets, list_batches


@given(st.lists(st.lists(st.integers(0, 3), max_size=700), min_size=1, max_size=5))
def test_batches_hold_every_net_tile_once_and_their_number_follows_from_the_share(
    subnets: list[list[int]],
) -> None:
    assigned = [np.array(s, np.intp) for s in subnets]
    batches = list_batches(assigned, 4)
    seen = [
        (piece.image, int(tile), batch.subnet)
        for batch in batches
        for piece in batch.pieces
        for tile in piece.tiles
    ]
    expected = [(i, t, s) for i, image in enumerate(subnets) for t, s in enumerate(image) if s > 0]
    assert sorted(seen) == sorted(expected)
    assert all(sum(len(p.tiles) for p in batch.pieces) <= BATCH_TILES for batch in batches)
    totals = np.array([[0] * 4, [sum(image.count(s) for image in subnets) for s in range(4)]])
    assert batch_subnets(ShardAllocation(np.arange(2), totals)) == [batch.subnet for batch in batches]
