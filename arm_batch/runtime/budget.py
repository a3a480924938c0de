"""The budget of a generation: sees the whole archive's scores, allocates, and keeps the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from arm_batch.core.allocate import Allocation, Counts
from arm_batch.core.allocate_for import Allocated, allocate_for
from arm_batch.core.budget import Budget
from arm_batch.core.census import Census, Objective, ShardCensus, gather
from arm_batch.core.curve import Planner
from arm_batch.core.ladder import Ladder
from arm_batch.core.ledger import Ledger
from arm_batch.core.share_out import Share, share_out
from arm_batch.core.timed import Deadline
from arm_batch.core.waves import LAG, wave_of, wave_start
from arm_batch.errors import StoreError
from arm_batch.runtime.pool_claim import PoolClaim
from arm_batch.store.allocation import Verdict, read_allocation, write_allocation
from arm_batch.store.commit import committed
from arm_batch.store.generation import Generation
from arm_batch.store.objects import ObjectStore


class ArchiveBudget:
    """One generation's budget. Every method may be called again with the same arguments without further effect.

    What counts lies in the store: the allocations, and the commit records that say what was spent. So one that is
    lost is replaced by another that reads them.

    Args:
        ladder: costs and predictions.
        objective: what to make best.
        budget: the bound.
        output: where the allocations are written.
        generation: whose budget it is.
        claim: on a pool, where the budget is one.
    """

    def __init__(
        self,
        ladder: Ladder,
        objective: Objective,
        budget: Budget,
        output: ObjectStore,
        generation: Generation,
        claim: PoolClaim | None = None,
    ) -> None:
        self._ladder = ladder
        self._objective = objective
        self._budget = budget
        self._output = output
        self._generation = generation
        self._claim = claim
        self._epochs: list[Verdict] = []
        self._parts: Sequence[ShardCensus] = ()
        self._shares: list[Share] = []
        self._settled: dict[int, int] = {}
        self._open_waves = set(range(LAG))
        self._ledger = Ledger(0)

    def recorded(self) -> Verdict | None:
        """The first allocation that was written down, ``None`` before there is one.

        Raises:
            StoreError: it is damaged.
        """
        if not self._epochs:
            found = read_allocation(self._output, self._generation)
            if found is not None:
                self._adopt(*found)
        return self._epochs[0] if self._epochs else None

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
        planner = self._planner(gather(parts, self._objective, self._ladder.lut))
        found = self._afford(planner, deadline)
        verdict = self._judge(planner, found, range(len(parts)), found.total, "plan")
        self._adopt(*write_allocation(self._output, self._generation, 0, verdict, parts))
        return self._epochs[0]

    def _afford(self, planner: Planner, deadline: Deadline | None) -> Allocated:
        if self._claim is not None:
            granted = self._claim.take(self._ladder, self._objective, planner.census)
            return Allocated(planner.solve(granted), granted)
        # Failed images may stay below what the whole archive reaches: then they get all that helps.
        best_effort = self._generation.kind == "retry"
        return allocate_for(self._budget, planner, deadline, self._generation.cap_flops, best_effort)

    def current(self) -> Verdict:
        """What all shards are allocated now, over all epochs, and the total that may be spent."""
        first = self._first()
        tiles = np.zeros_like(first.allocation.tiles)
        flat = tiles.reshape(-1, tiles.shape[-1])
        for share in self._shares:
            flat[share.cells] += share.tiles
        spend = sum(self._cost(shard) for shard in range(len(self._shares)))
        allocation = Allocation(tiles, spend, self._epochs[-1].allocation.price)
        quality = None
        if first.census.images.any():
            quality = self._planner(first.census).predict(allocation)
        return replace(first, allocation=allocation, total=self._epochs[-1].total, quality=quality)

    def begin(self, shard: int) -> Share | None:
        """Reserve what a shard's share costs and return the share; None while its wave has to wait."""
        first = self._first()
        wave = wave_of(shard, len(first.shards))
        if wave not in self._open_waves and not self._open(wave):
            return None
        # A reservation under an earlier epoch may have been another.
        self._ledger.release(str(shard))
        self._ledger.reserve(str(shard), self._cost(shard))
        return self._shares[shard]

    def fits(self, shard: int, census: ShardCensus) -> bool:
        """Whether a shard that was planned again came out as it was when it was allocated."""
        self._first()
        part = self._parts[shard]
        return np.array_equal(part.cells, census.cells) and np.array_equal(part.tiles, census.tiles)

    def settle(self, shard: int, flops: int) -> None:
        """Note what a shard really spent; the rest of its reservation is free again."""
        self._first()
        if shard not in self._settled:
            # Its reservation may have been made with a predecessor of this object, or under another epoch.
            self._ledger.release(str(shard))
            self._ledger.reserve(str(shard), max(flops, self._cost(shard)))
        self._ledger.settle(str(shard), flops)
        self._settled[shard] = flops

    def release(self, shard: int) -> None:
        """Take back the reservation of a shard that was given up."""
        self._ledger.release(str(shard))

    def spent(self) -> int:
        """FLOPs settled so far."""
        self.recorded()
        return self._ledger.spent

    def add(self, budget: Budget, reason: str) -> Verdict:
        """Raise the total and allocate anew to all shards that are not committed.

        Args:
            budget: by how much.
            reason: says once and for all that it was done: with the same reason nothing is added again.
        """
        first = self._first()
        if all(verdict.reason != reason for verdict in self._epochs):
            self._note_commits()
            left = [shard for shard in first.shards if shard not in self._settled]
            total = self._epochs[-1].total + budget.flops(first.full)
            self._add_epoch(left, total - sum(self._settled.values()), total, reason)
        return self.current()

    def _open(self, wave: int) -> bool:
        """Let a wave begin if all that its allocation may depend on is known."""
        shards = len(self._shares)
        known = range(wave_start(wave - LAG + 1, shards))
        if any(shard not in self._settled for shard in known):
            self._note_commits()
            if any(shard not in self._settled for shard in known):
                return False
        newest = range(wave_start(wave - LAG, shards), len(known))
        reason = f"wave {wave}"
        gave_back = any(self._settled[shard] < self._cost(shard) for shard in newest)
        if gave_back and all(verdict.reason != reason for verdict in self._epochs):
            later = range(wave_start(wave, shards), shards)
            between = sum(self._cost(shard) for shard in range(len(known), later.start))
            total = self._epochs[-1].total
            allowance = total - between - sum(self._settled[shard] for shard in known)
            self._add_epoch(later, allowance, total, reason)
        self._open_waves.add(wave)
        return True

    def _add_epoch(self, shards: Sequence[int], allowance: int, total: int, reason: str) -> None:
        census = gather([self._parts[shard] for shard in shards], self._objective, self._ladder.lut)
        planner = self._planner(census)
        found = Allocated(planner.solve(allowance), allowance)
        verdict = self._judge(planner, found, shards, total, reason)
        epoch = len(self._epochs)
        counted, _ = write_allocation(self._output, self._generation, epoch, verdict, ())
        self._apply(counted)
        if counted.reason != reason:
            raise StoreError(
                f"{self._output.url}: another job has just allocated anew ({counted.reason}): start again"
            )

    def _judge(
        self, planner: Planner, found: Allocated, shards: Sequence[int], total: int, reason: str
    ) -> Verdict:
        quality = planner.predict(found.allocation) if planner.census.images.any() else None
        costs = tuple(self._ladder.costs.tolist())
        allocation, forecast = found.allocation, found.forecast
        return Verdict(
            allocation, planner.census, total, planner.full, costs, quality, tuple(shards), reason, forecast
        )

    def _planner(self, census: Census) -> Planner:
        ladder = self._ladder
        return Planner(self._objective, ladder.lut, census, ladder.costs, ladder.grid.tile**2)

    def _first(self) -> Verdict:
        first = self.recorded()
        if first is None:
            raise StoreError(f"{self._output.url} holds no allocation of {self._generation.name}")
        return first

    def _cost(self, shard: int) -> int:
        return int(self._shares[shard].per_subnet @ self._ladder.costs)

    def _adopt(self, verdict: Verdict, parts: Sequence[ShardCensus]) -> None:
        """Start from what lies in the store: the first allocation, later epochs, and what was spent."""
        self._parts = parts
        self._shares = [Share(part.cells, np.empty((0, 0), np.int64)) for part in parts]
        self._apply(verdict)
        while (found := read_allocation(self._output, self._generation, len(self._epochs))) is not None:
            self._apply(found[0])
        self._note_commits()

    def _apply(self, verdict: Verdict) -> None:
        """Share an allocation out among its shards."""
        parts = [self._parts[shard] for shard in verdict.shards]
        cells = np.concatenate([part.cells for part in parts])
        counts = np.concatenate([part.tiles for part in parts])
        tiles: Counts = verdict.allocation.tiles.reshape(-1, len(verdict.costs))
        shares = np.split(share_out(tiles, cells, counts), np.cumsum([len(part.cells) for part in parts])[:-1])
        for shard, part, share in zip(verdict.shards, parts, shares, strict=True):
            self._shares[shard] = Share(part.cells, share)
        self._ledger.total = verdict.total
        self._epochs.append(verdict)

    def _note_commits(self) -> None:
        for shard, commit in committed(self._output).items():
            if shard.generation == self._generation.number:
                self.settle(shard.index, commit.flops)
