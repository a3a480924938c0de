"""The pool that several jobs draw from: the brain of the pool's actor, and of jobs that run in one process.

All it knows lies in the journal, and each of its calls is one record there, written only if nobody else has
written since it looked. So any number of them may serve one pool, in one cluster, in several or in none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arm_batch.budget.quota_journal import QuotaJournal
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.quota.events import Add, Begin, Close, Event, Leave, Price, Refuse, Register, Return, Settle
from arm_batch.core.quota.grants import Demand, check_rest, check_room, price_grants
from arm_batch.core.quota.state import QuotaState, follow
from arm_batch.errors import BudgetError, StoreError
from arm_batch.storage.base import ObjectStore


class SharedQuota:
    """A pool, as its journal tells.

    Args:
        store: whose root is the pool's.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._journal = QuotaJournal(store)
        self._demands: dict[str, Demand] = {}

    def state(self) -> QuotaState:
        """As of now.

        Raises:
            BudgetError: there is no pool in the store.
            StoreError: its journal is damaged.
        """
        return self._journal.refresh()

    def add(self, token: str, flops: int) -> QuotaState:
        """Raise the pool, once for each token, and let the jobs have it."""
        return self._record(lambda state: self._priced(state, [Add(token, flops)]))

    def close(self) -> QuotaState:
        """Take no further job."""
        return self._record(lambda _: [Close()])

    def register(self, job: str, objective: Objective, demand: Demand) -> int:
        """Come to the pool with all that is to be done; the jobs that are there are priced anew.

        Args:
            job: its id, the same whenever it comes back.
            objective: what it makes best.
            demand: all that it has to do; what counts is what it first came with.

        Returns:
            The job's grant in FLOPs; what it has not begun may be granted to others later.

        Raises:
            BudgetError: the pool is closed or spent, serves another objective, or has less left than interpolation
                needs.
        """
        state = self.state()
        if job in state.jobs:
            return state.jobs[job].grant
        state.check_open(objective)
        key = self._journal.keep_demand(job, demand)
        self._demands[key] = demand
        try:
            state = self._record(lambda state: self._registered(state, job, objective, key))
        except BudgetError:
            # After an error of the store the record may be there, and the demand must stay.
            self._journal.drop_demand(key)
            raise
        if state.jobs[job].demand != key:
            self._journal.drop_demand(key)
        return state.jobs[job].grant

    def sizes(self, job: str) -> tuple[int, ...]:
        """Shards of each portion of a job, as it first came; empty where it has not told."""
        state = self.state()
        state.claim(job)
        return self._demand(state, job).sizes

    def grant(self, job: str) -> int:
        """FLOPs that a job may spend in all, as of now. One that has left comes back by asking.

        Raises:
            BudgetError: it has left, and the pool is closed or spent, or has less left than interpolation needs.
        """

        def decide(state: QuotaState) -> list[Event]:
            if state.claim(job).active:
                return []
            event = Return(job)
            after = follow(state, [event])
            check_room(after, self._objective(after), self._active(after), job)
            return self._priced(state, [event])

        return self._record(decide).jobs[job].grant

    def begin(self, job: str, portion: int, flops: int, revision: int, grant: int) -> bool:
        """Let a portion begin with `flops`, unless its job's grant is another by now.

        The answer is final: of all revisions of a job a portion begins under one, whoever asks and how often.

        Args:
            job: whose it is.
            portion: which.
            flops: that it reserves, for good.
            revision: number of the job's allocation that they come from.
            grant: that the allocation was made for.

        Returns:
            Whether it has begun under `revision`, now or before. If not, it never will: a later revision has to
            say with what it begins, over the grant as it is now.

        Raises:
            BudgetError: so much is not left of the grant, or interpolation needs it for the rest.
        """

        def decide(state: QuotaState) -> list[Event]:
            claim = state.claim(job)
            if claim.begun(portion) is not None or claim.is_refused(portion, revision):
                return []
            if not claim.active or claim.grant != grant:
                return [Refuse(job, portion, revision)]
            event = Begin(job, portion, flops, revision)
            check_rest(follow(state, [event]), self._objective(state), self._demand(state, job), job)
            return [event]

        return self._record(decide).jobs[job].revisions.get(portion) == revision

    def settle(self, job: str, portion: int, flops: int) -> int:
        """Note what a portion that was begun has spent; what it had reserved beyond that is free again.

        Returns:
            What counts: what was said first. A portion that is repaired afterwards may have other failures.
        """

        def decide(state: QuotaState) -> list[Event]:
            return [] if portion in state.claim(job).settled else [Settle(job, portion, flops)]

        return self._record(decide).jobs[job].settled[portion]

    def leave(self, job: str) -> None:
        """Go, and let the other jobs have what is left. What was begun and not settled counts as spent."""
        self._record(lambda state: self._priced(state, [Leave(job)]) if state.claim(job).active else [])

    def _record(self, decide: Callable[[QuotaState], Sequence[Event]]) -> QuotaState:
        """Write down what is decided on the newest state; as often as another writer was faster, decide again."""
        while True:
            state = self._journal.refresh()
            events = decide(state)
            if follow(state, events) is state:
                return state
            if self._journal.append(events):
                return self._journal.refresh()

    def _registered(self, state: QuotaState, job: str, objective: Objective, key: str) -> list[Event]:
        if job in state.jobs:
            return []
        event = Register(job, objective, key, len(self._demands[key].portions))
        after = follow(state, [event])
        check_room(after, objective, self._active(after), job)
        return self._priced(state, [event])

    def _priced(self, state: QuotaState, events: list[Event]) -> list[Event]:
        """Events, and the grants that follow from them."""
        after = follow(state, events)
        if after.objective is None:
            return events
        return [*events, Price(price_grants(after, after.objective, self._active(after)))]

    def _active(self, state: QuotaState) -> dict[str, Demand]:
        return {job: self._demand(state, job) for job, claim in state.jobs.items() if claim.active}

    def _demand(self, state: QuotaState, job: str) -> Demand:
        claim = state.jobs[job]
        if claim.demand not in self._demands:
            demand = self._journal.read_demand(claim.demand, self._objective(state))
            if len(demand.portions) != claim.portions:
                raise StoreError(
                    f"{self._journal.url}/{claim.demand} has {len(demand.portions):,} portions, "
                    f"the journal says {claim.portions:,}: one of them is damaged"
                )
            self._demands[claim.demand] = demand
        return self._demands[claim.demand]

    @staticmethod
    def _objective(state: QuotaState) -> Objective:
        assert state.objective is not None
        return state.objective
