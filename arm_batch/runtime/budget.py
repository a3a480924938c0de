"""The budget of a generation: sees the whole archive's scores, allocates once, and keeps the ledger."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from arm_batch.core.allocate_for import allocate_for
from arm_batch.core.budget import Budget
from arm_batch.core.census import Objective, ShardCensus, gather
from arm_batch.core.ladder import Ladder
from arm_batch.core.ledger import Ledger
from arm_batch.core.objective import predict
from arm_batch.core.share_out import Share, share_out
from arm_batch.core.timed import Deadline
from arm_batch.errors import StoreError
from arm_batch.store.allocation import Verdict, read_allocation, write_allocation
from arm_batch.store.commit import committed
from arm_batch.store.generation import Generation
from arm_batch.store.objects import ObjectStore


class ArchiveBudget:
    """One generation's budget. Every method may be called again with the same arguments without further effect.

    What counts lies in the store: the allocation, and the commit records that say what was spent. So one that is
    lost is replaced by another that reads them.

    Args:
        ladder: costs and predictions.
        objective: what to make best.
        budget: the bound.
        output: where the allocation is written.
        generation: whose budget it is.
    """

    def __init__(
        self, ladder: Ladder, objective: Objective, budget: Budget, output: ObjectStore, generation: Generation
    ) -> None:
        self._ladder = ladder
        self._objective = objective
        self._budget = budget
        self._output = output
        self._generation = generation
        self._verdict: Verdict | None = None
        self._shares: list[Share] = []
        self._ledger = Ledger(0)

    def recorded(self) -> Verdict | None:
        """The allocation that was written down, ``None`` before there is one.

        Raises:
            StoreError: it is damaged.
        """
        if self._verdict is None:
            found = read_allocation(self._output, self._generation)
            if found is not None:
                self._adopt(*found)
        return self._verdict

    def allocate(self, parts: Sequence[ShardCensus], deadline: Deadline | None = None) -> Verdict:
        """Allocate over the whole generation, share it out among its shards, and write it down.

        Args:
            parts: the census of each shard.
            deadline: of a budget of time.

        Raises:
            BudgetError: no plan meets the budget; nothing is written.
        """
        recorded = self.recorded()
        if recorded is not None:
            return recorded
        lut, costs = self._ladder.lut, self._ladder.costs
        census = gather(parts, self._objective, lut)
        full = int(census.tiles.sum()) * int(costs[-1])
        found = allocate_for(
            self._budget, self._objective, self._ladder, census, deadline, self._generation.cap_flops
        )
        allocation = found.allocation
        quality = (
            predict(lut, census, allocation.tiles, self._ladder.grid.tile**2) if census.images.any() else None
        )
        verdict = Verdict(allocation, census, found.total, full, tuple(costs.tolist()), quality, found.forecast)
        self._adopt(*write_allocation(self._output, self._generation, verdict, parts))
        return self._verdict or verdict

    def begin(self, shard: int) -> Share:
        """Reserve what a shard's share costs and return the share."""
        share = self._share(shard)
        self._ledger.reserve(str(shard), self._cost(share))
        return share

    def settle(self, shard: int, flops: int) -> None:
        """Note what a shard really spent; the rest of its reservation is free again."""
        # Its reservation may have been made with a predecessor of this object.
        cost = self._cost(self._share(shard))
        self._ledger.reserve(str(shard), cost)
        self._ledger.settle(str(shard), flops)

    def release(self, shard: int) -> None:
        """Take back the reservation of a shard that was given up."""
        self._ledger.release(str(shard))

    def spent(self) -> int:
        """FLOPs settled so far."""
        self.recorded()
        return self._ledger.spent

    def _share(self, shard: int) -> Share:
        if self.recorded() is None:
            raise StoreError(f"{self._output.url} holds no allocation of {self._generation.name}")
        return self._shares[shard]

    def _cost(self, share: Share) -> int:
        return int(share.per_subnet @ self._ladder.costs)

    def _adopt(self, verdict: Verdict, parts: Sequence[ShardCensus]) -> None:
        cells = np.concatenate([part.cells for part in parts])
        counts = np.concatenate([part.tiles for part in parts])
        tiles = verdict.allocation.tiles.reshape(-1, len(verdict.costs))
        shares = np.split(share_out(tiles, cells, counts), np.cumsum([len(part.cells) for part in parts])[:-1])
        self._shares = [Share(part.cells, share) for part, share in zip(parts, shares, strict=True)]
        self._ledger = Ledger(verdict.total)
        self._verdict = verdict
        for shard, commit in committed(self._output).items():
            if shard.generation == self._generation.number:
                self.settle(shard.index, commit.flops)
