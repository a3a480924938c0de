"""Waves: in which order shards may begin, so that what failures give back can be spent without chance.

Images that fail give their FLOPs back. What that buys must not depend on which shards happened to be under way, or
a run that was broken off would end with other bytes than one that was not. So shards begin in waves, and what a
wave gives back is spent from the wave after the next on: by then it is known, and no worker had to wait for it.
"""

from __future__ import annotations

MAX_WAVES = 16

MIN_SHARDS = 4
"""Of a wave: fewer, and shards under way would span more than two of them."""

LAG = 2
"""A wave may begin when all waves this far before it are committed."""


def wave_count(shards: int) -> int:
    """Number of waves of a generation with so many shards."""
    return max(1, min(MAX_WAVES, shards // MIN_SHARDS))


def wave_of(shard: int, shards: int) -> int:
    """The wave of a shard, from 0.

    >>> [wave_of(shard, 12) for shard in range(12)]
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    """
    return shard * wave_count(shards) // shards


def wave_start(wave: int, shards: int) -> int:
    """The first shard of a wave.

    >>> [wave_start(wave, 13) for wave in range(4)]
    [0, 5, 9, 13]
    """
    return -(-wave * shards // wave_count(shards))


def shards_of(wave: int, shards: int) -> range:
    """The shards of a wave.

    >>> [shards_of(wave, 13) for wave in range(3)]
    [range(0, 5), range(5, 9), range(9, 13)]
    """
    return range(wave_start(wave, shards), wave_start(wave + 1, shards))
