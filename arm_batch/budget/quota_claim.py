"""What one generation of a run holds of a pool: a portion for each of its waves."""

from __future__ import annotations

from collections.abc import Sequence

from arm_batch.budget.protocol import Quota
from arm_batch.core.allocation.histogram import ShardHistogram, gather
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.allocation.waves import Waves
from arm_batch.core.prediction.ladder import Ladder
from arm_batch.core.quota.grants import Demand
from arm_batch.runstate.generation import Generation


def claim_id(generation: Generation) -> str:
    """What a generation is called in its pool; the same whenever it is taken up again."""
    # The run id alone is that of any run with the same input and settings, whatever its output.
    return f"{generation.run_id}-{generation.name}-{generation.attempt[:8]}"


class QuotaClaim:
    """Draws the FLOPs of one generation from a pool, wave by wave.

    Args:
        pool: to draw from.
        generation: that draws.
    """

    def __init__(self, pool: Quota, generation: Generation) -> None:
        self._pool = pool
        self._job = claim_id(generation)
        self._settled: dict[int, int] = {}

    def register(
        self, ladder: Ladder, objective: Objective, parts: Sequence[ShardHistogram], at_once: int
    ) -> tuple[int, Waves]:
        """Come to the pool with the histogram of each shard.

        Args:
            ladder: of the run.
            objective: of the run.
            parts: the histogram of each shard.
            at_once: shards that the cluster works on.

        Returns:
            The grant, see `SharedQuota.register`; and the waves that the pool has a portion of each of. They are
            those that the generation first came with, maybe on another cluster.
        """
        waves = Waves.gradual(len(parts), at_once)
        each = ([parts[shard] for shard in waves.members(wave)] for wave in range(len(waves)))
        portions = tuple(ShardHistogram.of(gather(members, objective, ladder.lut)) for members in each)
        demand = Demand(lut=ladder.lut, costs=ladder.costs, portions=portions, sizes=waves.sizes)
        granted = self._pool.register(self._job, objective, demand)
        sizes = self._pool.sizes(self._job)
        return granted, Waves(sizes) if sizes else Waves.even(len(parts))

    def grant(self) -> int:
        """FLOPs that the generation may spend in all, as of now; see `SharedQuota.grant`."""
        return self._pool.grant(self._job)

    def begin(self, wave: int, flops: int, revision: int, grant: int) -> bool:
        """Let a wave begin, see `SharedQuota.begin`."""
        return self._pool.begin(self._job, wave, flops, revision, grant)

    def settle(self, wave: int, flops: int) -> int:
        """Note what a wave has spent; returns what counts, which is more where it was done again since."""
        if wave not in self._settled:
            self._settled[wave] = max(flops, self._pool.settle(self._job, wave, flops))
        return self._settled[wave]
