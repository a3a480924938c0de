"""The journal of a pool as it lies in a store: numbered records, each written by whoever is first.

Record 0 creates the pool, every further one holds the events of one call. Nothing is ever changed or removed, so a
writer that has not seen the newest record cannot write in its place. Now and then a snapshot is put beside them,
so that who comes later need not read everything.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np

from arm_batch.core.census import ShardCensus
from arm_batch.core.lut import Lut
from arm_batch.core.pool_events import Add, Begin, Close, Event, Leave, Price, Refuse, Register, Return, Settle
from arm_batch.core.pool_grants import Demand
from arm_batch.core.shared_pool import Claim, PoolState, follow
from arm_batch.errors import ArmBatchError, BudgetError, StoreError
from arm_batch.store.documents import read_document
from arm_batch.store.objects import ObjectStore

SNAPSHOT_EVERY = 128
"""Records: who opens a pool reads at most so many one after the other."""

_EVENTS: dict[str, type[Event]] = {
    event.__name__.lower(): event for event in (Add, Close, Register, Price, Begin, Refuse, Settle, Leave, Return)
}

_COLUMNS = tuple(field.name for field in dataclasses.fields(ShardCensus))


class PoolJournal:
    """Reads and writes the records of one pool. Its copies and those of other processes may do so at once.

    Args:
        store: whose root is the pool's.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._state: PoolState | None = None
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
        document = {"attempt": uuid.uuid4().hex, "name": name, "flops": flops}
        if not self._store.create(_record_key(0), json.dumps(document).encode()):
            raise BudgetError(f"there is a pool at {self.url} already")

    def refresh(self) -> PoolState:
        """The newest state.

        Raises:
            BudgetError: there is no pool here.
            StoreError: a record is damaged.
        """
        if self._state is None:
            self._state, self._next = self._start()
        for number in itertools.count(self._next):
            document = read_document(self._store, _record_key(number))
            if document is None:
                break
            try:
                self._state = follow(self._state, [_event(item) for item in document["events"]])
            except (KeyError, TypeError, ValueError, ArmBatchError) as error:
                raise self._damaged(_record_key(number), error) from error
            self._next = number + 1
        return self._state

    def append(self, events: Sequence[Event]) -> bool:
        """Write a record after the newest that `refresh` saw; False when another writer was there first.

        Args:
            events: that are allowed in the state that `refresh` returned.
        """
        assert self._state is not None
        after = follow(self._state, events)
        document = {"attempt": uuid.uuid4().hex, "events": [_item(event) for event in events]}
        if not self._store.create(_record_key(self._next), json.dumps(document).encode()):
            return False
        if self._next % SNAPSHOT_EVERY == 0:
            snapshot = {"record": self._next, "state": _document_of(after)}
            self._store.write(f"snapshots/{self._next:012d}.json", json.dumps(snapshot).encode())
        self._state, self._next = after, self._next + 1
        return True

    def keep_demand(self, job: str, demand: Demand) -> str:
        """Write down what a job has to do; returns the key, which nobody else uses."""
        key = f"demands/{job}-{uuid.uuid4().hex}.npz"
        buffer = io.BytesIO()
        parts = {
            f"{column}-{number}": getattr(part, column)
            for number, part in enumerate(demand.portions)
            for column in _COLUMNS
        }
        table = np.frombuffer(demand.lut.to_json().encode(), np.uint8)
        sizes, portions = np.array(demand.sizes, np.int64), len(demand.portions)
        np.savez_compressed(buffer, lut=table, costs=demand.costs, portions=portions, sizes=sizes, **parts)
        self._store.write(key, buffer.getvalue())
        return key

    def read_demand(self, key: str) -> Demand:
        """What `keep_demand` wrote.

        Raises:
            StoreError: it is damaged or missing.
        """
        try:
            with np.load(io.BytesIO(self._store.read(key)), allow_pickle=False) as tables:
                portions = tuple(
                    ShardCensus(*(tables[f"{column}-{number}"] for column in _COLUMNS))
                    for number in range(int(tables["portions"]))
                )
                sizes = tuple(tables["sizes"].tolist()) if "sizes" in tables else ()
                return Demand(Lut.from_json(tables["lut"].tobytes().decode()), tables["costs"], portions, sizes)
        except (OSError, KeyError, TypeError, ValueError, ArmBatchError) as error:
            raise self._damaged(key, error) from error

    def drop_demand(self, key: str) -> None:
        """Remove a demand that no record names."""
        self._store.delete(key)

    def _start(self) -> tuple[PoolState, int]:
        """The newest snapshot, or the empty pool; and the number of the record after it."""
        snapshots = [info.key for info in self._store.list("snapshots/")]
        key = max(snapshots, default=_record_key(0))
        document = read_document(self._store, key)
        if document is None:
            raise BudgetError(f"there is no pool at {self.url}: `arm-batch budget create` makes one")
        try:
            if snapshots:
                return _state_of(document["state"]), int(document["record"]) + 1
            return PoolState(str(document["name"]), int(document["flops"])), 1
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(key, error) from error

    def _damaged(self, key: str, error: Exception) -> StoreError:
        return StoreError(f"{self._store.url}/{key} cannot be read: {error}")


def _record_key(number: int) -> str:
    return f"journal/{number:012d}.json"


def _item(event: Event) -> dict[str, Any]:
    return {"event": type(event).__name__.lower(), **dataclasses.asdict(event)}


def _event(item: dict[str, Any]) -> Event:
    fields = dict(item)
    return _EVENTS[fields.pop("event")](**fields)


def _document_of(state: PoolState) -> dict[str, Any]:
    return dataclasses.asdict(state) | {"added": sorted(state.added)}


def _state_of(document: dict[str, Any]) -> PoolState:
    jobs = {job: _claim_of(claim) for job, claim in document["jobs"].items()}
    return PoolState(**document | {"jobs": jobs, "added": frozenset(document["added"])})


def _claim_of(document: dict[str, Any]) -> Claim:
    by_portion = {
        name: {int(portion): int(number) for portion, number in document[name].items()}
        for name in ("reserved", "settled", "epochs", "refused")
    }
    return Claim(**document | by_portion)
