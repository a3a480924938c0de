from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arm_batch.execution.messages import shard_entries
from arm_batch.inputs.sources import Entry
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.spec import ShardLimits


@given(st.lists(st.integers(-1, 50), min_size=1, max_size=40), st.integers(1, 5), st.integers(1, 100))
def test_shards_hold_every_entry_once_in_order_within_their_limits(
    sizes: list[int], max_images: int, max_bytes: int
) -> None:
    entries = [
        Entry(path=f"{i}.png", key=f"{i}.png", row=None, size=size, etag="") for i, size in enumerate(sizes)
    ]
    outputs = [f"out{i}.png" for i in range(len(sizes))]
    shards = shard_entries(3, entries, outputs, ShardLimits(max_images, max_bytes))
    assert [e for shard in shards for e in shard.entries] == entries
    assert [o for shard in shards for o in shard.outputs] == outputs
    assert [shard.id for shard in shards] == [ShardId(3, index) for index in range(len(shards))]
    for shard in shards:
        assert 1 <= len(shard.entries) <= max_images
        assert len(shard.entries) == 1 or sum(max(e.size, 0) for e in shard.entries) <= max_bytes
