"""The state of a budget, kept up with its output: the revisions there, and the records of what is committed.

A revision is a numbered document, written by whoever is first. Nothing is ever changed or removed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from arm_batch.budget.events import Event, Revised, Settled
from arm_batch.budget.state import BudgetState, Terms, apply
from arm_batch.core.allocation.histogram import ShardHistogram
from arm_batch.errors import BudgetError, StoreError
from arm_batch.runstate.allocation import allocation_key, check_last, read_allocation, write_allocation
from arm_batch.runstate.allocation_record import AllocationRecord
from arm_batch.runstate.commit import CommitLog
from arm_batch.runstate.damage import LOST
from arm_batch.runstate.generation import Generation
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.storage.base import ObjectStore


class StoredState:
    """Reads events and writes revisions; all else that counts is the state's.

    Args:
        terms: of the allocations.
        output: where they lie.
        generation: whose they are.
        now: wall seconds since some moment.
    """

    def __init__(
        self, terms: Terms, output: ObjectStore, generation: Generation, now: Callable[[], float]
    ) -> None:
        self._terms = terms
        self._output = output
        self._generation = generation
        self._now = now
        self._commits = CommitLog(output, generation.number)
        self._state: BudgetState | None = None
        # Not yet: where this object goes, `now` may count from another moment.
        self.looked_s = float("-inf")
        """When commit records were last looked for."""

    @property
    def state(self) -> BudgetState:
        """As far as it is known here.

        Raises:
            StoreError: nothing is allocated, or an allocation is damaged.
        """
        state = self.find()
        if state is None:
            raise StoreError(f"{self._output.url} holds no allocation of {self._generation.name}")
        return state

    @property
    def is_read(self) -> bool:
        """Whether an allocation was read."""
        return self._state is not None

    def find(self) -> BudgetState | None:
        """The same, ``None`` before anything is allocated."""
        if self._state is None:
            revisions = list(_read(self._output, self._generation, 0))
            if revisions:
                self._take_up(revisions)
                self.note_commits()
        return self._state

    def apply(self, event: Event) -> None:
        """Take up what happens in this process."""
        self._state = apply(self.state, event)

    def begin(self, record: AllocationRecord, parts: Sequence[ShardHistogram]) -> None:
        """Write revision 0 down, unless there is one, which counts then.

        Args:
            record: of the allocation.
            parts: the histogram of each shard.
        """
        self._take_up([Revised(0, *write_allocation(self._output, self._generation, 0, record, parts))])
        self.note_commits()

    def revise(self, record: AllocationRecord, or_else: bool) -> None:
        """Write a further revision down, unless there is one of its number, which counts then.

        Args:
            record: of the allocation.
            or_else: whether a revision for another reason will do, as long as it changes nothing that is open.

        Raises:
            StoreError: the one that counts will not do.
        """
        number = len(self.state.revisions)
        counts = Revised(number, *write_allocation(self._output, self._generation, number, record, ()))
        if counts.record.reason != record.reason:
            if not or_else:
                raise self._overtaken(counts)
            self._check_open([counts])
        self._take_up([counts])

    def catch_up(self) -> None:
        """Take up what others have allocated since.

        Raises:
            StoreError: it changes what is open here.
        """
        revisions = list(_read(self._output, self._generation, len(self.state.revisions)))
        self._check_open(revisions)
        self._take_up(revisions)

    def note_commits(self) -> Collection[ShardId]:
        """Settle all that is committed; returns it."""
        self.looked_s = self._now()
        commits = self._commits.refresh()
        # What was spent was allocated before.
        self.catch_up()
        self.apply(Settled({shard.index: commit.flops for shard, commit in commits.items()}))
        return commits.keys()

    def _take_up(self, revisions: Sequence[Revised]) -> None:
        self._state = _follow(self._state, revisions, self._terms, self._output, self._generation)

    def _check_open(self, revisions: Sequence[Revised]) -> None:
        for each in revisions:
            if self.state.changes_open(each.record):
                raise self._overtaken(revisions[-1])

    def _overtaken(self, by: Revised) -> StoreError:
        told = f"another job has just allocated anew ({by.record.reason})"
        return StoreError(f"{self._output.url}: {told}: start again")


def read_state(terms: Terms, output: ObjectStore, generation: Generation) -> BudgetState:
    """What a generation is allocated as of now; nothing of it is reserved or settled.

    Raises:
        StoreError: nothing is allocated, or an allocation is damaged.
    """
    state = _follow(None, list(_read(output, generation, 0)), terms, output, generation)
    if state is None:
        raise StoreError(f"{output.url} holds no allocation of {generation.name}")
    return state


def _read(output: ObjectStore, generation: Generation, number: int) -> Iterator[Revised]:
    """The revisions from a number on; `StoreError` where one is damaged."""
    while (found := read_allocation(output, generation, number)) is not None:
        yield Revised(number, *found)
        number += 1
    if number == 0:
        check_last(output, generation, 0)


def _follow(
    state: BudgetState | None,
    revisions: Sequence[Revised],
    terms: Terms,
    output: ObjectStore,
    generation: Generation,
) -> BudgetState | None:
    """The state after revisions; `StoreError` where one does not fit the others, or the ladder."""
    for event in revisions:
        try:
            state = BudgetState.begin(terms, event) if state is None else apply(state, event)
        except BudgetError as error:
            key = allocation_key(generation, event.number)
            raise StoreError(f"{output.url}/{key} {error}; {LOST}") from error
    return state
