"""Waves: in which order shards may begin, so that what failures give back can be spent without chance.

Images that fail give their FLOPs back. What that buys must not depend on which shards happened to be under way, or
a run that was broken off would end with other bytes than one that was not. So shards begin in waves, and what a
wave gives back is spent from the wave after the next on: by then it is known, and no worker had to wait for it.

No worker has to wait where a wave holds all that the cluster works on at once: two waves are open, so a straggler
of the first leaves the second to the others.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

MAX_WAVES = 16
"""Of equal size: where the budget is a time, each costs a revision."""

MAX_GROWN = 32
"""Gradual ones that have grown: more are fairer to who comes later, but each costs the pool a few requests."""

MIN_SHARDS = 4
"""Of waves of equal size: as many as two workers have under way, so that one has the same waves as two."""

LAG = 2
"""A wave may begin when all waves this far before it are committed."""


@dataclass(frozen=True)
class Waves:
    """How the shards of a generation are divided into waves: consecutive ones, in order.

    Attributes:
        sizes: shards of each wave, at least one.
    """

    sizes: tuple[int, ...]

    @staticmethod
    def even(shards: int, at_once: int = 1) -> Waves:
        """Waves of nearly equal size.

        Args:
            shards: of the generation.
            at_once: of them that the cluster works on.

        >>> Waves.even(13).sizes
        (5, 4, 4)
        >>> Waves.even(64, 16).sizes
        (16, 16, 16, 16)
        """
        count = max(1, min(MAX_WAVES, shards // max(MIN_SHARDS, at_once)))
        starts = [-(-wave * shards // count) for wave in range(count + 1)]
        return Waves(tuple(stop - start for start, stop in pairwise(starts)))

    @staticmethod
    def gradual(shards: int, at_once: int = 1) -> Waves:
        """Waves that begin with one shard and double, for jobs that share a budget.

        What a job has begun, no price can change any more. So whoever comes first has begun little when the others
        come. A cluster that works on more than two shards is short of them for the first few.

        Args:
            shards: of the generation.
            at_once: of them that the cluster works on. So many are in the two waves that are open once they have
                grown, or more where there are many shards.

        >>> Waves.gradual(16, 8).sizes
        (1, 1, 2, 4, 4, 4)
        >>> Waves.gradual(5).sizes
        (1, 1, 1, 1, 1)
        """
        most = max(-(-at_once // LAG), -(-shards // MAX_GROWN))
        sizes: list[int] = []
        begun = 0
        while begun < shards:
            sizes.append(min(most, max(1, begun), shards - begun))
            begun += sizes[-1]
        return Waves(tuple(sizes))

    def __len__(self) -> int:
        """How many waves there are."""
        return len(self.sizes)

    @property
    def shards(self) -> int:
        """Of all waves together."""
        return self._starts[-1]

    def of(self, shard: int) -> int:
        """The wave of a shard, from 0.

        >>> [Waves((1, 2, 2)).of(shard) for shard in range(5)]
        [0, 1, 1, 2, 2]
        """
        return bisect_right(self._starts, shard) - 1

    def start(self, wave: int) -> int:
        """The first shard of a wave; after the last wave the number of shards."""
        return self._starts[wave]

    def members(self, wave: int) -> range:
        """The shards of a wave.

        >>> [Waves((1, 2, 2)).members(wave) for wave in range(3)]
        [range(0, 1), range(1, 3), range(3, 5)]
        """
        return range(self._starts[wave], self._starts[wave + 1])

    def known(self, wave: int) -> range:
        """The waves that are committed when a wave begins: what they gave back, its allocation may depend on.

        >>> [Waves((1, 2, 2)).known(wave) for wave in range(3)]
        [range(0, 0), range(0, 0), range(0, 1)]
        """
        return range(max(0, wave - LAG + 1))

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *accumulate(self.sizes)]
