from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.waves import MAX_WAVES, MIN_SHARDS, wave_count, wave_of, wave_start


@given(st.integers(1, 5000))
def test_waves_follow_one_another_and_are_of_nearly_equal_size(shards: int) -> None:
    waves = [wave_of(shard, shards) for shard in range(shards)]
    assert waves == sorted(waves)
    assert set(waves) == set(range(wave_count(shards)))
    sizes = [waves.count(wave) for wave in range(wave_count(shards))]
    assert max(sizes) - min(sizes) <= 1
    assert wave_count(shards) <= MAX_WAVES
    assert wave_count(shards) == 1 or min(sizes) >= MIN_SHARDS
    for wave in range(wave_count(shards)):
        assert wave_start(wave, shards) == waves.index(wave)
    assert wave_start(wave_count(shards), shards) == shards
