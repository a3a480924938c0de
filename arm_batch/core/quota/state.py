"""A pool of FLOPs that several jobs draw from: who holds how much of it, as a state and the events that change it.

The pool grants each job an amount. A job divides its work into portions and begins, settles or releases each. What
it has begun cannot be taken from it, the rest of its grant can: by a `Price` event, when jobs come or go.

A state is a value, and `follow` a pure function, so whoever reads the same events arrives at the same state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from arm_batch.core.allocation.measures import Objective
from arm_batch.core.json_records import Count, Name
from arm_batch.core.quota.claim import Claim
from arm_batch.core.quota.events import Add, Begin, Close, Event, Leave, Price, Refuse, Register, Return, Settle
from arm_batch.errors import BudgetError


class QuotaState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pool at one moment. The grants never add up to more than `total`.

    Attributes:
        name: of the pool.
        total: FLOPs.
        closed: whether it takes no further job.
        objective: of all its jobs; ``None`` before the first.
        jobs: by id, those that have left included.
        added: tokens of the `Add` events.
    """

    name: str
    total: Count
    closed: bool = False
    objective: Objective | None = None
    jobs: Mapping[Name, Claim] = {}
    added: frozenset[str] = frozenset()

    @property
    def spent(self) -> int:
        """FLOPs of all portions that are done."""
        return sum(claim.spent for claim in self.jobs.values())

    @property
    def fixed(self) -> int:
        """FLOPs of all portions that are done or under way."""
        return sum(claim.fixed for claim in self.jobs.values())

    @property
    def granted(self) -> int:
        """FLOPs that the jobs hold."""
        return sum(claim.grant for claim in self.jobs.values())

    @property
    def is_sound(self) -> bool:
        """Whether events can have led to it."""
        claims = self.jobs.values()
        return (
            self.granted <= self.total
            and all(c.is_sound for c in claims)
            and (self.objective is not None or not claims)
        )

    def claim(self, job: str) -> Claim:
        """What a job holds; `BudgetError` for one that never registered."""
        if job not in self.jobs:
            raise BudgetError(f"the pool {self.name} knows no job {job}")
        return self.jobs[job]

    def check_open(self, objective: Objective) -> None:
        """Refuse a new job that no grant could serve.

        Raises:
            BudgetError: the pool is closed, is spent, or its jobs have another objective.
        """
        if self.closed:
            raise BudgetError(f"the pool {self.name} is closed: it takes no further job")
        if self.objective not in (None, objective):
            raise BudgetError(
                f"the jobs of the pool {self.name} make {self.objective} best, this one {objective}: their FLOPs "
                "cannot be weighed against each other"
            )
        if self.fixed >= self.total:
            raise BudgetError(f"the pool {self.name} is spent: nothing is left of its {self.total:,} FLOPs")


def follow(state: QuotaState, events: Iterable[Event]) -> QuotaState:
    """The state after events; the same object where they change nothing, as a repeated event does.

    Raises:
        BudgetError: one of them is not allowed.
    """
    for event in events:
        state = _after(state, event)
    return state


def _after(state: QuotaState, event: Event) -> QuotaState:
    match event:
        case Add():
            return _add(state, event)
        case Close():
            return state if state.closed else replace(state, closed=True)
        case Register():
            return _register(state, event)
        case Price():
            return _marginal_value(state, event)
        case Leave():
            return _leave(state, event)
        case Return():
            return _return(state, event)
        case _:
            return _after_of_portion(state, event)


def _after_of_portion(state: QuotaState, event: Begin | Settle | Refuse) -> QuotaState:
    match event:
        case Begin():
            return _begin(state, event)
        case Settle():
            return _settle(state, event)
        case Refuse():
            return _refuse(state, event)


def _add(state: QuotaState, event: Add) -> QuotaState:
    if event.token in state.added:
        return state
    if event.flops <= 0:
        raise BudgetError(f"{event.flops} FLOPs add nothing to the pool {state.name}")
    return replace(state, total=state.total + event.flops, added=state.added | {event.token})


def _register(state: QuotaState, event: Register) -> QuotaState:
    if event.job in state.jobs:
        return state
    state.check_open(event.objective)
    state = replace(state, objective=event.objective)
    return _with(state, event.job, Claim(event.demand, event.portions))


def _marginal_value(state: QuotaState, event: Price) -> QuotaState:
    jobs = dict(state.jobs)
    for job, grant in event.grants.items():
        claim = state.claim(job)
        if not claim.active or grant < claim.fixed:
            raise BudgetError(f"{job} cannot be granted {grant:,} FLOPs")
        jobs[job] = replace(claim, grant=grant)
    after = replace(state, jobs=jobs)
    if after.granted > state.total:
        raise BudgetError(f"the pool {state.name} holds {state.total:,} FLOPs, {after.granted:,} are asked for")
    return state if after == state else after


def _begin(state: QuotaState, event: Begin) -> QuotaState:
    claim = state.claim(event.job)
    begun = claim.begun(event.portion)
    if begun is not None:
        if event.portion in claim.reserved and begun != event.flops:
            raise BudgetError(f"portion {event.portion} of {event.job} has begun with {begun:,} FLOPs")
        return state
    possible = claim.active and 0 <= event.portion < claim.portions and event.flops >= 0
    if not possible or claim.is_refused(event.portion, event.revision):
        raise BudgetError(f"portion {event.portion} of {event.job} cannot begin with {event.flops:,} FLOPs")
    if claim.fixed + event.flops > claim.grant:
        raise BudgetError(f"{event.job} asks for {event.flops:,} of {claim.grant - claim.fixed:,} FLOPs")
    reserved = {**claim.reserved, event.portion: event.flops}
    revisions = {**claim.revisions, event.portion: event.revision}
    return _with(state, event.job, replace(claim, reserved=reserved, revisions=revisions))


def _refuse(state: QuotaState, event: Refuse) -> QuotaState:
    claim = state.claim(event.job)
    if claim.begun(event.portion) is not None or claim.is_refused(event.portion, event.revision):
        return state
    return _with(state, event.job, replace(claim, refused={**claim.refused, event.portion: event.revision}))


def _settle(state: QuotaState, event: Settle) -> QuotaState:
    claim = state.claim(event.job)
    if event.portion in claim.settled:
        if claim.settled[event.portion] != event.flops:
            raise BudgetError(
                f"portion {event.portion} of {event.job} has spent {claim.settled[event.portion]:,} FLOPs"
            )
        return state
    reserved = claim.reserved.get(event.portion)
    if reserved is None or not 0 <= event.flops <= reserved:
        raise BudgetError(f"portion {event.portion} of {event.job} cannot spend {event.flops:,} FLOPs")
    settled = {**claim.settled, event.portion: event.flops}
    left = {portion: flops for portion, flops in claim.reserved.items() if portion != event.portion}
    return _with(state, event.job, replace(claim, reserved=left, settled=settled))


def _leave(state: QuotaState, event: Leave) -> QuotaState:
    claim = state.claim(event.job)
    return _with(state, event.job, replace(claim, active=False)) if claim.active else state


def _return(state: QuotaState, event: Return) -> QuotaState:
    claim = state.claim(event.job)
    if claim.active:
        return state
    assert state.objective is not None
    state.check_open(state.objective)
    return _with(state, event.job, replace(claim, active=True))


def _with(state: QuotaState, job: str, claim: Claim) -> QuotaState:
    """The state with another claim of a job; one that has left keeps only what it has begun."""
    if not claim.active:
        claim = replace(claim, grant=claim.fixed)
    return replace(state, jobs={**state.jobs, job: claim})
