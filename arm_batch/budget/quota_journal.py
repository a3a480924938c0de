"""The journal of a pool as it lies in a store: numbered records, each written by whoever is first.

Record 0 creates the pool, every further one holds the events of one call. Nothing is ever changed or removed, so a
writer that has not seen the newest record cannot write in its place. Now and then a snapshot is put beside them,
so that who comes later need not read everything.
"""

from __future__ import annotations

import dataclasses
import itertools
import uuid
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from arm_batch.core.allocation.histogram import ShardHistogram
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.json_records import Index, Name, Positive, Record, encode_record
from arm_batch.core.prediction.lut import Lut
from arm_batch.core.quota.events import Event
from arm_batch.core.quota.grants import Demand
from arm_batch.core.quota.state import QuotaState, follow
from arm_batch.errors import BudgetError, LadderError, StoreError
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.json_documents import read_record
from arm_batch.storage.tables import read_tables, write_tables

SNAPSHOT_EVERY = 128
"""Records: who opens a pool reads at most so many one after the other."""

_COLUMNS = tuple(field.name for field in dataclasses.fields(ShardHistogram))


_LOST = "the pool cannot go on without it: put the file back from a copy, or create another pool"


class _Creation(Record, frozen=True):
    """Record 0."""

    what: ClassVar[str] = "the first record of a pool"
    remedy: ClassVar[str] = _LOST
    format: ClassVar[int] = 1

    attempt: Name
    name: Name
    flops: Positive


class _Entry(Record, frozen=True):
    """Any further record."""

    what: ClassVar[str] = "a record of a pool"
    remedy: ClassVar[str] = _LOST
    format: ClassVar[int] = 1

    attempt: Name
    events: tuple[Event, ...]


class _Snapshot(Record, frozen=True):
    """The state after a record."""

    what: ClassVar[str] = "a snapshot of a pool"
    remedy: ClassVar[str] = "remove it: the records tell the same"
    format: ClassVar[int] = 1

    record: Index
    state: QuotaState

    def check(self) -> None:
        """See `Record`."""
        if not self.state.is_sound:
            raise ValueError("at `$.state`: its amounts do not fit together")


class QuotaJournal:
    """Reads and writes the records of one pool. Its copies and those of other processes may do so at once.

    Args:
        store: whose root is the pool's.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._state: QuotaState | None = None
        self._next = 0

    @property
    def url(self) -> str:
        """Where the pool lies."""
        return self._store.url

    def create(self, name: str, flops: int) -> None:
        """Begin the journal of a new pool.

        Raises:
            BudgetError: there is one.
        """
        record = _Creation(uuid.uuid4().hex, name, flops)
        if not self._store.create(_record_key(0), encode_record(record)):
            raise BudgetError(f"there is a pool at {self.url} already")

    def refresh(self) -> QuotaState:
        """The newest state.

        Raises:
            BudgetError: there is no pool here.
            StoreError: a record is damaged.
        """
        if self._state is None:
            self._state, self._next = self._start()
        for number in itertools.count(self._next):
            entry = read_record(self._store, _record_key(number), _Entry)
            if entry is None:
                break
            try:
                self._state = follow(self._state, entry.events)
            except BudgetError as error:
                where = f"{self._store.url}/{_record_key(number)}"
                raise StoreError(f"{where} contradicts those before it: {error}; {_LOST}") from error
            self._next = number + 1
        return self._state

    def append(self, events: Sequence[Event]) -> bool:
        """Write a record after the newest that `refresh` saw; False when another writer was there first.

        Args:
            events: that are allowed in the state that `refresh` returned.
        """
        assert self._state is not None
        after = follow(self._state, events)
        entry = _Entry(uuid.uuid4().hex, tuple(events))
        if not self._store.create(_record_key(self._next), encode_record(entry)):
            return False
        if self._next % SNAPSHOT_EVERY == 0:
            self._store.write(_snapshot_key(self._next), encode_record(_Snapshot(self._next, after)))
        self._state, self._next = after, self._next + 1
        return True

    def keep_demand(self, job: str, demand: Demand) -> str:
        """Write down what a job has to do; returns the key, which nobody else uses."""
        key = f"demands/{job}-{uuid.uuid4().hex}.npz"
        arrays = {
            f"{column}-{number}": getattr(part, column)
            for number, part in enumerate(demand.portions)
            for column in _COLUMNS
        }
        arrays["lut"] = np.frombuffer(demand.lut.to_json().encode(), np.uint8)
        arrays |= {"costs": demand.costs, "portions": np.array(len(demand.portions), np.int64)}
        arrays["sizes"] = np.array(demand.sizes, np.int64)
        write_tables(self._store, key, arrays)
        return key

    def read_demand(self, key: str, objective: Objective) -> Demand:
        """What `keep_demand` wrote, in a pool of this objective.

        Raises:
            StoreError: it is damaged or missing.
        """
        tables = read_tables(self._store, key, _LOST)
        try:
            lut = Lut.from_json(tables.text("lut"), "its table")
        except LadderError as error:
            raise tables.damaged(str(error)) from error
        demand = Demand(
            lut=lut,
            costs=tables.counts("costs"),
            portions=tuple(
                ShardHistogram(*(tables.counts(f"{column}-{number}") for column in _COLUMNS))
                for number in range(int(tables.counts("portions", 0)))
            ),
            # Pools that are older than these have none.
            sizes=tuple(tables.counts("sizes").tolist()) if "sizes" in tables else (),
        )
        if not demand.is_sound(objective):
            raise tables.damaged("its counts do not fit its table")
        return demand

    def drop_demand(self, key: str) -> None:
        """Remove a demand that no record names."""
        self._store.delete(key)

    def _start(self) -> tuple[QuotaState, int]:
        """The newest snapshot, or the empty pool; and the number of the record after it."""
        newest = max((info.key for info in self._store.list("snapshots/")), default=None)
        if newest is not None:
            snapshot = read_record(self._store, newest, _Snapshot)
            if snapshot is not None and newest == _snapshot_key(snapshot.record):
                return snapshot.state, snapshot.record + 1
            raise StoreError(f"{self._store.url}/{newest} is a snapshot of another record; {_Snapshot.remedy}")
        created = read_record(self._store, _record_key(0), _Creation)
        if created is None:
            raise BudgetError(f"there is no pool at {self.url}: `arm-batch budget create` makes one")
        return QuotaState(created.name, created.flops), 1


def _snapshot_key(number: int) -> str:
    return f"snapshots/{number:012d}.json"


def _record_key(number: int) -> str:
    return f"journal/{number:012d}.json"
