"""The allocations of a generation as they lie in OUTPUT: made once, shared by every worker and every resume.

Revision 0 is the allocation of the whole generation. Later revisions allocate anew to shards that have not begun,
with what failed images gave back or what was added to the budget.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec

from arm_batch.core.allocation.deadline import TimeForecast
from arm_batch.core.allocation.histogram import Histogram, ShardHistogram
from arm_batch.core.allocation.knapsack import Allocation
from arm_batch.core.allocation.objective import Quality
from arm_batch.core.allocation.waves import Waves
from arm_batch.core.json_records import Amount, Cost, Count, Key, Name, Positive, Record, encode_record
from arm_batch.errors import StoreError
from arm_batch.runstate.allocation_check import misfit
from arm_batch.runstate.allocation_record import AllocationRecord, pack, unpack
from arm_batch.runstate.damage import LOST
from arm_batch.runstate.generation import Generation, generation_prefix
from arm_batch.storage.base import ObjectStore, is_safe_key
from arm_batch.storage.json_documents import read_record
from arm_batch.storage.tables import read_tables, write_tables


class _Record(Record, frozen=True):
    """A `AllocationRecord` as it lies in the store, without its arrays: `tables` is the key of those."""

    what: ClassVar[str] = "an allocation"
    remedy: ClassVar[str] = LOST
    format: ClassVar[int] = 1

    run_id: Name
    attempt: Name
    reason: str
    tables: Key
    budget_flops: Count
    full_flops: Count
    costs: tuple[Cost, ...]
    quality: Quality | None
    spend: Count
    marginal_value: Amount = msgspec.field(name="price")
    subnet_tiles: tuple[Count, ...]
    forecast: TimeForecast | None = None
    waves: tuple[Positive, ...] | msgspec.UnsetType = msgspec.UNSET

    def check(self) -> None:
        """See `Record`."""
        if not self.costs or list(self.costs) != sorted(set(self.costs)):
            raise ValueError("at `$.costs`: expected FLOPs that ascend")
        if not is_safe_key(self.tables):
            raise ValueError("at `$.tables`: expected the key of a file")

    def waves_of(self, generation: Generation) -> Waves:
        """Before they were written down, waves followed from the number of shards alone."""
        return Waves.even(generation.shards) if self.waves is msgspec.UNSET else Waves(self.waves)


def allocation_key(generation: Generation, revision: int = 0) -> str:
    """Where an allocation of a generation lies."""
    name = "allocation.json" if revision == 0 else f"epoch-{revision:04d}.json"
    return f"{generation_prefix(generation.number)}{name}"


def tables_prefix(number: int) -> str:
    """What the keys of the tables of a generation's allocation begin with."""
    return f"{generation_prefix(number)}tables-"


def is_allocated(store: ObjectStore, generation: Generation) -> bool:
    """Whether there is an allocation of a generation, damaged or not."""
    try:
        store.stat(allocation_key(generation))
    except FileNotFoundError:
        return False
    return True


def read_revisions(store: ObjectStore, generation: Generation) -> list[AllocationRecord]:
    """All allocations of a generation, in order; none before it is allocated.

    Raises:
        StoreError: a file of one is damaged or missing.
    """
    allocation_records = []
    for revision in itertools.count():
        found = read_allocation(store, generation, revision)
        if found is None:
            check_last(store, generation, revision)
            break
        allocation_records.append(found[0])
    return allocation_records


def check_last(store: ObjectStore, generation: Generation, missing: int) -> None:
    """Refuse a hole: what comes after an allocation that is missing is of no use.

    Raises:
        StoreError: there is a later one than `missing`, or the store cannot be reached.
    """
    prefix = f"{generation_prefix(generation.number)}epoch-"
    later = [info.key for info in store.list(prefix) if info.key > f"{prefix}{missing:04d}.json"]
    # Others may have allocated since it was looked for.
    if later and read_record(store, allocation_key(generation, missing), _Record) is None:
        key = allocation_key(generation, missing)
        raise StoreError(f"{store.url}/{key} is missing, but {later[0]} is there; {LOST}")


def read_allocation(
    store: ObjectStore, generation: Generation, revision: int = 0
) -> tuple[AllocationRecord, list[ShardHistogram]] | None:
    """An allocation of a generation, ``None`` before there is one; with revision 0 the histogram of each shard.

    Raises:
        StoreError: a file of it is damaged or missing.
    """
    key = allocation_key(generation, revision)
    record = read_record(store, key, _Record)
    if record is None:
        return None
    if record.run_id != generation.run_id or not record.tables.startswith(tables_prefix(generation.number)):
        raise StoreError(f"{store.url}/{key} is the allocation of another generation; {LOST}")
    _check_waves(store, key, record, generation)
    tables = read_tables(store, record.tables, LOST)
    allocation = Allocation(tables.counts("allocation", 3), record.spend, record.marginal_value)
    allocation_record = AllocationRecord(
        allocation,
        Histogram(allocation.tiles.sum(axis=2), tables.counts("images"), tables.counts("pixels")),
        total=record.budget_flops,
        full=record.full_flops,
        costs=record.costs,
        quality=record.quality,
        shards=tuple(tables.counts("shards").tolist()),
        waves=record.waves_of(generation),
        reason=record.reason,
        forecast=record.forecast,
    )
    parts = unpack(tables)
    told = misfit(allocation_record, parts, record.subnet_tiles, generation, revision)
    if told:
        raise StoreError(f"{store.url}/{key} does not fit its tables ({told}); {LOST}")
    return allocation_record, parts


def read_waves(store: ObjectStore, generation: Generation) -> Waves:
    """The waves of a generation that is allocated.

    Raises:
        StoreError: it is not, or its allocation is damaged.
    """
    key = allocation_key(generation)
    record = read_record(store, key, _Record)
    if record is None:
        raise StoreError(f"{store.url}/{key} is missing; {LOST}")
    _check_waves(store, key, record, generation)
    return record.waves_of(generation)


def _check_waves(store: ObjectStore, key: str, record: _Record, generation: Generation) -> None:
    if record.waves_of(generation).shards != generation.shards:
        raise StoreError(f"{store.url}/{key} has waves of other than {generation.shards:,} shards; {LOST}")


def tables_of(store: ObjectStore, generation: Generation) -> set[str]:
    """Keys of the tables that the allocations of a generation name."""
    records = (read_record(store, allocation_key(generation, revision), _Record) for revision in itertools.count())
    return {record.tables for record in itertools.takewhile(bool, records) if record}


def stray_tables(store: ObjectStore, generation: Generation, keys: Iterable[str]) -> list[str]:
    """Which of these tables no allocation names, nor ever will.

    Tables are written before the record that names them. Of a revision that has no record yet they may be those of
    a driver that is just adding it.

    Args:
        store: the output.
        generation: whose tables they are.
        keys: of tables, listed before this is called.
    """
    named = tables_of(store, generation)
    own = [key for key in keys if key.startswith(tables_prefix(generation.number)) and key not in named]
    coming = f"{tables_prefix(generation.number)}{len(named):04d}-"
    return [key for key in own if key < coming]


def write_allocation(
    store: ObjectStore,
    generation: Generation,
    revision: int,
    allocation_record: AllocationRecord,
    parts: Sequence[ShardHistogram],
) -> tuple[AllocationRecord, list[ShardHistogram]]:
    """Write the allocation of a revision down, unless there is one; returns the one that counts.

    Args:
        store: the output.
        generation: whose allocation it is.
        revision: its number.
        allocation_record: what to write.
        parts: the histogram of each shard, with revision 0; the later ones go by that.
    """
    key = allocation_key(generation, revision)
    attempt = uuid.uuid4().hex
    # The number of the revision tells whoever tidies up whether somebody may still be about to name it.
    tables_key = f"{tables_prefix(generation.number)}{revision:04d}-{attempt}.npz"
    record = _Record(
        run_id=generation.run_id,
        attempt=attempt,
        reason=allocation_record.reason,
        tables=tables_key,
        budget_flops=allocation_record.total,
        full_flops=allocation_record.full,
        costs=allocation_record.costs,
        quality=allocation_record.quality,
        forecast=allocation_record.forecast,
        spend=allocation_record.allocation.spend,
        marginal_value=allocation_record.allocation.marginal_value,
        waves=allocation_record.waves.sizes,
        subnet_tiles=tuple(allocation_record.allocation.tiles.sum(axis=(0, 1)).tolist()),
    )
    write_tables(store, tables_key, pack(allocation_record, parts))
    if store.create(key, encode_record(record)):
        return allocation_record, list(parts)
    store.delete(tables_key)
    found = read_allocation(store, generation, revision)
    if found is None:
        raise StoreError(f"{store.url}/{key} was there and is gone")
    return found
