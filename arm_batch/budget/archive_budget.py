"""The budget of a generation: sees the whole archive's scores, allocates, and keeps the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

import numpy as np

from arm_batch.budget.quota_claim import PoolClaim
from arm_batch.budget.revisions import Epochs
from arm_batch.budget.timekeeper import Timekeeper
from arm_batch.budget.wave_gate import WaveOpener
from arm_batch.core.allocation.apportion import Share
from arm_batch.core.allocation.budget import Budget
from arm_batch.core.allocation.deadline import Deadline
from arm_batch.core.allocation.histogram import ShardCensus
from arm_batch.core.allocation.ledger import Ledger
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.allocation.solve import Allocated, allocate_for
from arm_batch.core.allocation.waves import Waves
from arm_batch.core.prediction.ladder import Ladder
from arm_batch.errors import BudgetError, StoreError
from arm_batch.runstate.commit import CommitLog
from arm_batch.runstate.generation import Generation
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.runstate.verdict import Verdict
from arm_batch.storage.base import ObjectStore

LOOK_EVERY_S = 30.0
"""Of a wave that waits for what was begun here: another driver may have begun it too, and be faster."""


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
        now: wall seconds since some moment.
    """

    def __init__(
        self,
        ladder: Ladder,
        objective: Objective,
        budget: Budget,
        output: ObjectStore,
        generation: Generation,
        claim: PoolClaim | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ladder = ladder
        self._objective = objective
        self._budget = budget
        self._output = output
        self._generation = generation
        self._claim = claim
        self._now = now
        self._epochs = Epochs(ladder, objective, output, generation)
        self._commits = CommitLog(output, generation.number)
        # Not yet: where this object goes, `now` may count from another moment.
        self._looked = float("-inf")
        self._settled: dict[int, int] = {}
        self._waves = WaveOpener(self._epochs, self._settled, claim, timed=budget.seconds is not None)
        self._ledger = Ledger(0)

    def recorded(self) -> Verdict | None:
        """The first allocation that was written down, ``None`` before there is one.

        Raises:
            StoreError: it is damaged.
        """
        if not self._epochs:
            self._catch_up()
            if self._epochs:
                self._note_commits()
        return self._epochs.first if self._epochs else None

    def allocate(
        self, parts: Sequence[ShardCensus], at_once: int = 1, deadline: Deadline | None = None
    ) -> Verdict:
        """Allocate over the whole generation, share it out among its shards, and write it down.

        Args:
            parts: the census of each shard.
            at_once: shards that the cluster works on.
            deadline: of a budget of time.

        Raises:
            BudgetError: no plan meets the budget; nothing is written.
        """
        recorded = self.recorded()
        if recorded is not None:
            return recorded
        asked = self._now()
        found, waves = self._afford(parts, at_once, deadline)
        self._epochs.begin(found, parts, waves)
        self._ledger.total = self._epochs.last.total
        self._note_commits()
        first = self._epochs.first
        if deadline is not None and first.forecast is not None:
            # Allocating takes time too.
            started, cap = asked - deadline.passed_seconds, self._generation.cap_flops
            self._waves.keeper = Timekeeper(
                self._budget, deadline.fleet, first.forecast, self._epochs, cap, started, self._now
            )
        return first

    def _afford(
        self, parts: Sequence[ShardCensus], at_once: int, deadline: Deadline | None
    ) -> tuple[Allocated, Waves]:
        planner = self._epochs.planner_of(parts)
        if self._claim is not None:
            granted, waves = self._claim.register(self._ladder, self._objective, parts, at_once)
            return Allocated(planner.solve(granted), granted), waves
        # Failed images may stay below what the whole archive reaches: then they get all that helps.
        best_effort = self._generation.kind == "retry"
        found = allocate_for(self._budget, planner, deadline, self._generation.cap_flops, best_effort)
        return found, Waves.even(len(parts), at_once)

    def current(self) -> Verdict:
        """What all shards are allocated now, over all epochs, and the total that may be spent."""
        self._first()
        return self._epochs.current()

    def done(self) -> set[int]:
        """Numbers of the shards that are committed, as the store has it now; all of them are settled then."""
        self._first()
        return {shard.index for shard in self._note_commits()}

    def begin(self, shard: int) -> Share | None:
        """Reserve what a shard's share costs and return the share; None while its wave has to wait.

        To ask again costs a request now and then where what it waits for was begun here: that is settled here.
        """
        self._first()
        wave = self._epochs.waves.of(shard)
        if not self._waves.is_open(wave) and not self._open(wave):
            return None
        # A reservation under an earlier epoch may have been another.
        self._ledger.release(str(shard))
        self._ledger.reserve(str(shard), self._epochs.cost([shard]))
        if self._waves.keeper is not None:
            self._waves.keeper.note(shard)
        return self._epochs.share(shard)

    def fits(self, shard: int, census: ShardCensus) -> bool:
        """Whether a shard that was planned again came out as it was when it was allocated."""
        self._first()
        part = self._epochs.parts[shard]
        return np.array_equal(part.cells, census.cells) and np.array_equal(part.tiles, census.tiles)

    def settle(self, shard: int, flops: int) -> None:
        """Note what a shard really spent; the rest of its reservation is free again."""
        self._first()
        if shard not in self._settled:
            if flops > self._epochs.cost([shard]):
                # Another driver ran it, under an allocation that is not known here.
                self._catch_up()
            # Its reservation may have been made with a predecessor of this object, or under another epoch.
            self._ledger.release(str(shard))
            self._ledger.reserve(str(shard), max(flops, self._epochs.cost([shard])))
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

        Raises:
            BudgetError: all shards are committed.
            StoreError: another driver has just allocated anew.
        """
        first = self._first()
        if not self._epochs.has(reason):
            self._note_commits()
            left = [shard for shard in first.shards if shard not in self._settled]
            if not left:
                raise BudgetError("every image is done: there is nothing to spend an added budget on")
            total = self._epochs.last.total + budget.flops(first.full)
            allowance = total - sum(self._settled.values())
            found = Allocated(self._epochs.planner(left).solve(allowance), total)
            if self._epochs.add(left, found, reason).reason != reason:
                raise self._epochs.overtaken()
            self._ledger.total = total
        return self.current()

    def _open(self, wave: int) -> bool:
        """Let a wave begin if all that its allocation may depend on is known."""
        waits_for = self._waves.waits_for(wave)
        if any(not self._ledger.is_reserved(str(shard)) for shard in waits_for) or (
            waits_for and self._now() - self._looked >= LOOK_EVERY_S
        ):
            # What was not begun here, or is done elsewhere as well, only the store can tell.
            self._note_commits()
            waits_for = self._waves.waits_for(wave)
        if waits_for:
            return False
        self._waves.open(wave)
        self._ledger.total = self._epochs.last.total
        return True

    def _catch_up(self) -> None:
        """Take up what others have allocated since."""
        new = self._epochs.refresh()
        self._waves.check_untouched(new)
        if new:
            self._ledger.total = self._epochs.last.total

    def _first(self) -> Verdict:
        first = self.recorded()
        if first is None:
            raise StoreError(f"{self._output.url} holds no allocation of {self._generation.name}")
        return first

    def _note_commits(self) -> Collection[ShardId]:
        """Settle all that is committed; returns it."""
        self._looked = self._now()
        commits = self._commits.refresh()
        # A share that was spent was allocated before.
        self._catch_up()
        for shard, commit in commits.items():
            self.settle(shard.index, commit.flops)
        return commits.keys()
