"""The budget of a generation: sees the whole archive's scores, allocates, and keeps the ledger.

A thin shell round `BudgetState`: it asks the store, the quota and the clock, and makes events of what they say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from arm_batch.budget.decisions import added_revision, first_revision, gives_back, wave_revision
from arm_batch.budget.events import Begun, Opened, Released, Settled, Timed
from arm_batch.budget.protocol import Standing
from arm_batch.budget.quota_claim import QuotaClaim
from arm_batch.budget.replanner import Replanner
from arm_batch.budget.state import BudgetState, Terms
from arm_batch.budget.stored_state import StoredState
from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.allocation.budget import Budget
from arm_batch.core.allocation.deadline import Deadline
from arm_batch.core.allocation.histogram import ShardHistogram
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.allocation.solve import Allocated, allocate_for
from arm_batch.core.allocation.waves import Waves
from arm_batch.core.prediction.ladder import Ladder
from arm_batch.runstate.allocation_record import AllocationRecord
from arm_batch.runstate.generation import Generation
from arm_batch.storage.base import ObjectStore

LOOK_EVERY_S = 30.0
"""Of a wave that waits for what was begun here: another driver may have begun it too, and be faster."""


class ArchiveBudget:
    """One generation's budget. Every method may be called again with the same arguments without further effect.

    What counts lies in the store: the revisions, and the commit records that say what was spent. So one that is
    lost is replaced by another that reads them.

    Args:
        ladder: costs and predictions.
        objective: what to make best.
        budget: the bound.
        output: where the revisions are written.
        generation: whose budget it is.
        claim: on a quota, where the budget is one.
        now: wall seconds since some moment.
    """

    def __init__(
        self,
        ladder: Ladder,
        objective: Objective,
        budget: Budget,
        output: ObjectStore,
        generation: Generation,
        claim: QuotaClaim | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terms = Terms(ladder, objective)
        self._budget = budget
        self._generation = generation
        self._claim = claim
        self._now = now
        self._kept = StoredState(self._terms, output, generation, now)

    @property
    def state(self) -> BudgetState:
        """As far as it is known here; `StoreError` before anything is allocated."""
        return self._kept.state

    def recorded(self) -> AllocationRecord | None:
        """The first allocation that was written down, ``None`` before there is one.

        Raises:
            StoreError: it is damaged.
        """
        state = self._kept.find()
        return None if state is None else state.first

    def allocate(
        self, parts: Sequence[ShardHistogram], at_once: int = 1, deadline: Deadline | None = None
    ) -> AllocationRecord:
        """Allocate over the whole generation, divide that among its shards, and write it down.

        Args:
            parts: the histogram of each shard.
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
        self._kept.begin(first_revision(self._terms, found, parts, waves), parts)
        state, cap = self.state, self._generation.cap_flops
        if deadline is not None and state.first.forecast is not None:
            # Allocating takes time too.
            work, most = state.work(range(len(parts))), np.inf if cap is None else cap
            self._kept.apply(Timed(Replanner.of(self._budget, deadline, state.first.forecast, work, most, asked)))
        return state.first

    def current(self) -> AllocationRecord:
        """What all shards are allocated now, over all revisions, and the total that may be spent."""
        return self.state.current()

    def done(self) -> set[int]:
        """Numbers of the shards that are committed, as the store has it now; all of them are settled then."""
        return {shard.index for shard in self._kept.note_commits()}

    def begin(self, shard: int) -> ShardAllocation | None:
        """Reserve what a shard is allocated and return it; None while its wave has to wait.

        To ask again costs a request now and then where what it waits for was begun here: that is settled here.
        """
        wave = self.state.waves.of(shard)
        if wave not in self.state.opened and not self._open(wave):
            return None
        self._kept.apply(Begun(shard, self._now()))
        return self.state.shares[shard]

    def fits(self, shard: int, histogram: ShardHistogram) -> bool:
        """Whether a shard that was planned again came out as it was when it was allocated."""
        part = self.state.parts[shard]
        return np.array_equal(part.cells, histogram.cells) and np.array_equal(part.tiles, histogram.tiles)

    def settle(self, shard: int, flops: int) -> None:
        """Note what a shard really spent; the rest of its reservation is free again."""
        if not self.state.ledger.is_settled(shard) and flops > self.state.costs[shard]:
            # Another driver ran it, under an allocation that is not known here.
            self._kept.catch_up()
        self._kept.apply(Settled({shard: flops}))

    def release(self, shard: int) -> None:
        """Take back the reservation of a shard that was given up."""
        # What has not been read has reserved nothing; a driver that is told to stop has no time to read it.
        if self._kept.is_read:
            self._kept.apply(Released(shard))

    def add(self, budget: Budget, reason: str) -> AllocationRecord:
        """Raise the total and allocate anew to all shards that are not committed.

        Args:
            budget: by how much.
            reason: says once and for all that it was done: with the same reason nothing is added again.

        Raises:
            BudgetError: all shards are committed.
            StoreError: another driver has just allocated anew.
        """
        if not self.state.has(reason):
            self._kept.note_commits()
            self._kept.revise(added_revision(self.state, budget, reason), or_else=False)
        return self.current()

    def standing(self) -> Standing:
        """How it stands, as far as it is known here."""
        return self.state.standing()

    def _afford(
        self, parts: Sequence[ShardHistogram], at_once: int, deadline: Deadline | None
    ) -> tuple[Allocated, Waves]:
        planner = self._terms.planner(parts)
        if self._claim is not None:
            ladder, objective = self._terms.ladder, self._terms.objective
            granted, waves = self._claim.register(ladder, objective, parts, at_once)
            return Allocated(planner.solve(granted), granted), waves
        # Failed images may stay below what the whole archive reaches: then they get all that helps.
        best_effort = self._generation.kind == "retry"
        found = allocate_for(self._budget, planner, deadline, self._generation.cap_flops, best_effort)
        return found, Waves.even(len(parts), at_once)

    def _open(self, wave: int) -> bool:
        """Let a wave begin if all that its allocation may depend on is known."""
        waits_for = self.state.waits_for(wave)
        if any(not self.state.ledger.is_reserved(shard) for shard in waits_for) or (
            waits_for and self._now() - self._kept.looked_s >= LOOK_EVERY_S
        ):
            # What was not begun here, or is done elsewhere as well, only the store can tell.
            self._kept.note_commits()
            waits_for = self.state.waits_for(wave)
        if waits_for:
            return False
        spends = self._spends(wave)
        # What is decided by the clock has to be written down always, or two drivers would decide it differently.
        timed = self._budget.seconds is not None and bool(spends)
        if timed or gives_back(self.state, wave, spends):
            while not self.state.has(f"wave {wave}"):
                self._revise(wave, spends, f"wave {wave}")
        while not self._claimed(wave):
            self._revise(wave, spends, f"wave {wave}, another grant")
        self._kept.apply(Opened(wave))
        return True

    def _spends(self, wave: int) -> list[int]:
        """What each wave has spent that another may depend on, all settled; the quota hears of it too."""
        known = self.state.waves.known(wave)
        spends = [self.state.ledger.by_wave[each].spent for each in known]
        if self._claim is None:
            return spends
        return [self._claim.settle(each, spent) for each, spent in zip(known, spends, strict=True)]

    def _claimed(self, wave: int) -> bool:
        """Whether a wave may begin with what it is allocated; always, where the budget is no quota's."""
        if self._claim is None:
            return True
        state, shards = self.state, self.state.waves.members(wave)
        revision = state.revision_of(shards[0])
        return self._claim.begin(wave, state.cost(shards), revision, state.revisions[revision].total)

    def _revise(self, wave: int, spends: Sequence[int], reason: str) -> None:
        """Add a revision for all waves from this one on, or take up the one that somebody else has added."""
        state = self.state
        total = state.last.total if self._claim is None else self._claim.grant()
        now = None if self._budget.seconds is None else self._now()
        self._kept.revise(wave_revision(state, wave, spends, total, now, reason), or_else=True)
