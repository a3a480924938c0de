"""Generations: what a run set out to do, fixed before the first image is read.

A run begins with generation 0, the images that INPUT held then. Images that came later (``--extend``) and failed
images that are tried again (``--retry-failed``) are further generations of the same run, each with its own
listing, plan, allocation and budget. Nothing of a generation is ever changed.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.json_records import Count, Index, Key, Name, Record, encode_record
from arm_batch.errors import BudgetError, StoreError
from arm_batch.inputs.columns import from_store, schema_in, to_store
from arm_batch.runstate.commit import COMMITS
from arm_batch.runstate.damage import LOST, damage_told
from arm_batch.runstate.shard_plan import (
    ENTRY_FIELDS,
    PLAN,
    Shard,
    ShardId,
    check_columns,
    entries_of,
    entry_columns,
)
from arm_batch.storage.base import ObjectStore, is_safe_key
from arm_batch.storage.json_documents import read_record

Kind = Literal["initial", "extend", "retry", "plan"]
"""``plan`` is what a dry run leaves for a run to begin with: a generation 0 that is never allocated."""

_LISTING_SCHEMA = pa.schema(
    [pa.field("shard", pa.int32(), nullable=False), *ENTRY_FIELDS, pa.field("origin", pa.string())]
)

_ROWS_AT_ONCE = 16_384
"""Of a listing, in memory as Python objects."""


class Generation(Record, frozen=True):
    """The record of a generation.

    Attributes:
        number: from 0.
        kind: why there is one.
        run_id: of the run; the same in all its generations.
        settings: that decide the output, see `JobSpec.settings`.
        attempt: of whoever created it.
        listing: key of the Parquet file that lists its inputs.
        images: inputs in it.
        shards: that they are divided into.
        cap_flops: upper bound on its FLOPs beside the budget of the settings; None for none.
    """

    what: ClassVar[str] = "the record of a generation"
    remedy: ClassVar[str] = LOST
    format: ClassVar[int] = 1

    number: Index
    kind: Kind
    run_id: Name
    settings: dict[str, str]
    attempt: Name
    listing: Key
    images: Index
    shards: Index
    cap_flops: Count | None

    def check(self) -> None:
        """See `Record`."""
        if self.shards > self.images:
            raise ValueError(f"{self.shards:,} shards cannot be made of {self.images:,} images")
        if (self.number == 0) != (self.kind in ("initial", "plan")):
            raise ValueError(f"at `$.kind`: generation {self.number} cannot be {self.kind}")
        if self.kind != "plan":
            _check_budget(self.settings.get("budget"))
        if not self.listing.startswith(generation_prefix(self.number)) or not is_safe_key(self.listing):
            raise ValueError("at `$.listing`: expected a file of the same generation")

    @property
    def name(self) -> str:
        """Such as ``g0000``."""
        return f"g{self.number:04d}"


def _check_budget(text: str | None) -> None:
    if text is None:
        raise ValueError("at `$.settings`: the budget is missing")
    try:
        parse_budget(text)
    except BudgetError as error:
        raise ValueError(f"at `$.settings.budget`: {error}") from error


def generation_prefix(number: int) -> str:
    """What all keys of a generation's plan begin with."""
    return f"{PLAN}g{number:04d}/"


def _record_key(number: int) -> str:
    return f"{generation_prefix(number)}generation.json"


def _listing_prefix(number: int) -> str:
    return f"{generation_prefix(number)}listing-"


def list_generations(store: ObjectStore) -> list[Generation]:
    """All generations of the run in `store`, in order; none where there is no run.

    Raises:
        StoreError: a record is damaged or missing, or the store cannot be reached.
    """
    found: list[Generation] = []
    for number in itertools.count():
        generation = _read(store, number)
        if generation is None:
            _check_end(store, number)
            return found
        found.append(generation)
    raise AssertionError("unreachable")


def _read(store: ObjectStore, number: int) -> Generation | None:
    key = _record_key(number)
    generation = read_record(store, key, Generation)
    if generation is not None and generation.number != number:
        raise StoreError(f"{store.url}/{key} is the record of {generation.name}; {LOST}")
    return generation


def _check_end(store: ObjectStore, number: int) -> None:
    """Refuse a hole: without the record of a generation nobody knows what its rows and plans belong to."""
    for later in (number, number + 1):
        for prefix in (generation_prefix(later), f"{COMMITS}g{later:04d}/"):
            for info in store.list(prefix):
                # What a process leaves that was killed before its generation had a record, or after.
                if later > number or not info.key.startswith(_listing_prefix(number)):
                    raise StoreError(
                        f"{store.url}/{_record_key(number)} is missing, but {info.key} is there; {LOST}"
                    )


def create_generation(
    store: ObjectStore,
    kind: Kind,
    number: int,
    run_id: str,
    settings: dict[str, str],
    shards: Sequence[Shard],
    attempt: str,
    cap_flops: int | None = None,
) -> Generation:
    """Fix what a generation is to do, unless somebody did already; returns the one that counts.

    The listing goes first, under a name of its own; then the record that names it, put-if-absent.

    Raises:
        StoreError: the store cannot be written.
    """
    listing = f"{_listing_prefix(number)}{attempt}.parquet"
    images = sum(len(shard.entries) for shard in shards)
    generation = Generation(number, kind, run_id, settings, attempt, listing, images, len(shards), cap_flops)
    store.write(listing, _to_parquet(shards))
    if store.create(_record_key(number), encode_record(generation)):
        return generation
    store.delete(listing)
    return list_generations(store)[number]


def discard_generation(store: ObjectStore, generation: Generation) -> None:
    """Remove all of a generation that nothing is committed of; its record and its listing last, in this order.

    Broken off before, it is there still and can be discarded again; after, nothing is left that counts.
    """
    keys = [info.key for info in store.list(generation_prefix(generation.number))]
    last = [_record_key(generation.number), *(k for k in keys if k.startswith(_listing_prefix(generation.number)))]
    for key in [*(key for key in keys if key not in last), *last]:
        store.delete(key)


def read_shards(store: ObjectStore, generation: Generation) -> Iterator[Shard]:
    """The inputs of a generation as they were listed, shard by shard and a few shards at a time.

    Raises:
        StoreError: the listing is missing, damaged, or not the one that was recorded.
    """
    file = _open_listing(store, generation)
    index = 0
    with damage_told(store, generation.listing, LOST):
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            check_columns(table, _LISTING_SCHEMA)
            for shard in _shards_of(generation, table):
                if shard.id.index != index:
                    raise ValueError(f"shard {index} is missing")
                index += 1
                yield shard
    if index != generation.shards:
        raise StoreError(f"{store.url}/{generation.listing} lists {index:,} shards, not {generation.shards:,}")


def read_names(store: ObjectStore, generations: Iterable[Generation]) -> tuple[set[str], set[str]]:
    """The paths of all inputs of these generations, and of all their outputs."""
    paths: set[str] = set()
    outputs: set[str] = set()
    for generation in generations:
        file = _open_listing(store, generation)
        with damage_told(store, generation.listing, LOST):
            table = file.read(["path", "output"])
            paths.update(table["path"].to_pylist())
            outputs.update(table["output"].to_pylist())
    return paths, outputs


def extras_schema(store: ObjectStore, generation: Generation) -> pa.Schema:
    """The columns that came along with the inputs of a generation; empty for none."""
    return schema_in(_open_listing(store, generation).schema_arrow)


def count_copies(store: ObjectStore, generations: Iterable[Generation]) -> int:
    """Inputs that are copies of others, each as the last of these generations has it."""
    copies: set[str] = set()
    for generation in generations:
        file = _open_listing(store, generation)
        with damage_told(store, generation.listing, LOST):
            table = file.read(["path", "copy_of"])
            if generation.kind == "retry":
                copies.difference_update(table["path"].to_pylist())
            copies.update(table.filter(pc.is_valid(table["copy_of"]))["path"].to_pylist())
    return len(copies)


def _shards_of(generation: Generation, table: pa.Table) -> Iterator[Shard]:
    entries, outputs = entries_of(table), table["output"].to_pylist()
    origins, extras = table["origin"].to_pylist(), from_store(table)
    start = 0
    for index, members in itertools.groupby(table["shard"].to_pylist()):
        stop = start + sum(1 for _ in members)
        origin = None if origins[start] is None else ShardId.parse(origins[start])
        shard = ShardId(generation.number, index)
        # A copy, so that no shard travels with the columns of all.
        own = None if extras is None else extras.take(pa.array(range(start, stop), pa.int64()))
        yield Shard(shard, tuple(entries[start:stop]), tuple(outputs[start:stop]), origin, own)
        start = stop


def _open_listing(store: ObjectStore, generation: Generation) -> pq.ParquetFile:
    with damage_told(store, generation.listing, LOST):
        data = pa.BufferReader(store.read(generation.listing))
        file = pq.ParquetFile(data, page_checksum_verification=True)
        check_columns(file.schema_arrow.empty_table(), _LISTING_SCHEMA)
        if file.metadata.num_rows != generation.images:
            raise ValueError(f"it lists {file.metadata.num_rows:,} images, not {generation.images:,}")
        return file


def _to_parquet(shards: Sequence[Shard]) -> bytes:
    buffer = io.BytesIO()
    added = [] if not shards else to_store(shards[0].extras)
    schema = pa.schema([*_LISTING_SCHEMA, *(field for field, _ in added)])
    with pq.ParquetWriter(
        buffer, schema, compression="zstd", write_statistics=False, write_page_checksum=True
    ) as writer:
        for batch in _batches(shards):
            entries = [entry for shard in batch for entry in shard.entries]
            outputs = [output for shard in batch for output in shard.outputs]
            indices = [shard.id.index for shard in batch for _ in shard.entries]
            origins = [None if s.origin is None else str(s.origin) for s in batch for _ in s.entries]
            columns = [pa.array(indices, pa.int32()), *entry_columns(entries, outputs)]
            columns.append(pa.array(origins, pa.string()))
            table = pa.Table.from_arrays(columns, schema=_LISTING_SCHEMA)
            if added:
                for field, column in to_store(pa.concat_tables([shard.extras for shard in batch])):
                    table = table.append_column(field, column)
            writer.write_table(table)
    return buffer.getvalue()


def _batches(shards: Sequence[Shard]) -> Iterable[list[Shard]]:
    """A few shards at a time, so that a million inputs are not turned into columns at once."""
    batch: list[Shard] = []
    rows = 0
    for shard in shards:
        batch.append(shard)
        rows += len(shard.entries)
        if rows >= _ROWS_AT_ONCE:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch
