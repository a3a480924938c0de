"""The budget of a generation: sees the whole archive's scores, allocates once, and keeps the ledger."""

from __future__ import annotations

import numpy as np

from arm_batch.core.allocate import Counts, allocate, share_out
from arm_batch.core.budget import Budget
from arm_batch.core.ladder import Ladder
from arm_batch.core.ledger import Ledger
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
        budget: the bound.
        output: where the allocation is written.
        generation: whose budget it is.
    """

    def __init__(self, ladder: Ladder, budget: Budget, output: ObjectStore, generation: Generation) -> None:
        self._ladder = ladder
        self._budget = budget
        self._output = output
        self._generation = generation
        self._verdict: Verdict | None = None
        self._shares = np.empty(0, np.int64)
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

    def allocate(self, histograms: Counts) -> Verdict:
        """Allocate over the whole generation, share it out among its shards, and write it down.

        Args:
            histograms: tiles per score bin of each shard, ``(n_shards, n_bins)``.

        Raises:
            BudgetError: no plan meets the budget; nothing is written.
        """
        recorded = self.recorded()
        if recorded is not None:
            return recorded
        histogram = histograms.sum(axis=0)
        full = int(histogram.sum()) * int(self._ladder.costs[-1])
        total = self._budget.flops(full)
        if self._generation.cap_flops is not None:
            total = min(total, self._generation.cap_flops)
        allocation = allocate(histogram, -self._ladder.lut.mse, self._ladder.costs, total)
        psnr = self._ladder.lut.psnr_of(allocation.tiles) if histogram.any() else None
        verdict, histograms = write_allocation(
            self._output,
            self._generation,
            Verdict(allocation, total, full, tuple(self._ladder.costs.tolist()), psnr),
            histograms,
        )
        self._adopt(verdict, histograms)
        return verdict

    def begin(self, shard: int) -> Counts:
        """Reserve what a shard's share costs and return the share, ``(n_bins, n_subnets)``."""
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

    def _share(self, shard: int) -> Counts:
        if self.recorded() is None:
            raise StoreError(f"{self._output.url} holds no allocation of {self._generation.name}")
        share: Counts = self._shares[shard]
        return share

    def _cost(self, share: Counts) -> int:
        return int(share.sum(axis=0) @ self._ladder.costs)

    def _adopt(self, verdict: Verdict, histograms: Counts) -> None:
        self._shares = share_out(verdict.allocation.tiles, histograms)
        self._ledger = Ledger(verdict.total)
        self._verdict = verdict
        for shard, commit in committed(self._output).items():
            if shard.generation == self._generation.number:
                self.settle(shard.index, commit.flops)
