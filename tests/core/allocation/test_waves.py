from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.allocation.waves import LAG, MAX_GROWN, MAX_WAVES, MIN_SHARDS, Waves

shards_ = st.integers(1, 5000)
at_once_ = st.integers(1, 600)


@pytest.mark.parametrize("make", [Waves.even, Waves.gradual])
@given(shards=shards_, at_once=at_once_)
def test_waves_follow_one_another(make: Callable[[int, int], Waves], shards: int, at_once: int) -> None:
    waves = make(shards, at_once)
    assert waves.shards == shards
    assert [shard for wave in range(len(waves)) for shard in waves.members(wave)] == list(range(shards))
    for wave in range(len(waves)):
        assert waves.start(wave) == waves.members(wave)[0]
        assert {waves.of(shard) for shard in waves.members(wave)} == {wave}
    assert waves.start(len(waves)) == shards


@given(shards=shards_, at_once=at_once_)
def test_even_waves_are_of_nearly_equal_size_and_hold_what_the_cluster_works_on(shards: int, at_once: int) -> None:
    sizes = Waves.even(shards, at_once).sizes
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) <= MAX_WAVES
    assert len(sizes) == 1 or min(sizes) >= max(MIN_SHARDS, at_once)
    # What has begun before any is committed: all that there is, or twice what can be under way.
    assert sum(sizes[:LAG]) >= min(shards, 2 * at_once)


@given(shards=shards_)
def test_one_and_two_workers_have_the_waves_that_there_were_before_clusters_counted(shards: int) -> None:
    count = max(1, min(16, shards // 4))
    for at_once in (1, 2, 4):
        waves = Waves.even(shards, at_once)
        assert len(waves) == count
        assert [waves.of(shard) for shard in range(shards)] == [shard * count // shards for shard in range(shards)]


@given(shards=shards_, at_once=at_once_)
def test_gradual_waves_begin_with_one_shard_and_at_most_double_what_has_begun(shards: int, at_once: int) -> None:
    waves = Waves.gradual(shards, at_once)
    assert waves.sizes[0] == 1
    most = max(-(-at_once // LAG), -(-shards // MAX_GROWN))
    for wave, size in enumerate(waves.sizes[:-1]):
        begun = waves.start(wave)
        assert size == min(most, max(1, begun), shards - begun)
    # Doubling is over soon.
    assert len(waves) <= MAX_GROWN + most.bit_length() + 1


def test_large_clusters_are_not_kept_waiting() -> None:
    assert [Waves.even(shards, 128).sizes for shards in (64, 128, 512)] == [(64,), (128,), (128,) * 4]
    assert Waves.gradual(400, 128).sizes == (1, 1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64, 16)
