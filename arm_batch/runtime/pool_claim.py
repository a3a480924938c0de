"""What one generation of a run holds of a pool."""

from __future__ import annotations

from arm_batch.core.census import Census, Objective, ShardCensus
from arm_batch.core.ladder import Ladder
from arm_batch.core.pool_grants import Demand
from arm_batch.runtime.shared_pool import PoolPort
from arm_batch.store.generation import Generation

ALL = 0
"""The one portion of a generation: its allocation is made once, and from then on its grant is its own."""


def claim_id(generation: Generation) -> str:
    """What a generation is called in its pool; the same whenever it is taken up again."""
    # The run id alone is that of any run with the same input and settings, whatever its output.
    return f"{generation.run_id}-{generation.name}-{generation.attempt[:8]}"


class PoolClaim:
    """Draws the FLOPs of one generation from a pool.

    Args:
        pool: to draw from.
        generation: that draws.
    """

    def __init__(self, pool: PoolPort, generation: Generation) -> None:
        self._pool = pool
        self._job = claim_id(generation)

    def take(self, ladder: Ladder, objective: Objective, census: Census) -> int:
        """The FLOPs that the pool gives for all tiles of a census; nobody can take them away any more.

        May be repeated without further effect.

        Raises:
            BudgetError: the pool is closed or spent, serves another objective, or has less left than interpolation
                needs.
        """
        demand = Demand(ladder.lut, ladder.costs, (ShardCensus.of(census),))
        grant = self._pool.register(self._job, objective, demand)
        while (begun := self._pool.begin(self._job, ALL, grant)) is None:
            # Another job came in between and the common price has risen.
            grant = self._pool.grant(self._job)
        return begun
