"""Generations: what a run set out to do, fixed before the first image is read.

A run begins with generation 0, the images that INPUT held then. Images that came later (``--extend``) and failed
images that are tried again (``--retry-failed``) are further generations of the same run, each with its own
listing, plan, allocation and budget. Nothing of a generation is ever changed.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from arm_batch.errors import StoreError
from arm_batch.store.commit import COMMITS
from arm_batch.store.documents import read_document
from arm_batch.store.extras import from_store, schema_in, to_store
from arm_batch.store.objects import ObjectStore
from arm_batch.store.plan import ENTRY_FIELDS, PLAN, Shard, ShardId, entries_of, entry_columns

Kind = Literal["initial", "extend", "retry", "plan"]
"""``plan`` is what a dry run leaves for a run to begin with: a generation 0 that is never allocated."""

_LISTING_SCHEMA = pa.schema(
    [pa.field("shard", pa.int32(), nullable=False), *ENTRY_FIELDS, pa.field("origin", pa.string())]
)

_ROWS_AT_ONCE = 16_384
"""Of a listing, in memory as Python objects."""


@dataclass(frozen=True)
class Generation:
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

    number: int
    kind: Kind
    run_id: str
    settings: dict[str, str]
    attempt: str
    listing: str
    images: int
    shards: int
    cap_flops: int | None

    @property
    def name(self) -> str:
        """Such as ``g0000``."""
        return f"g{self.number:04d}"


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
        document = read_document(store, _record_key(number))
        if document is None:
            _check_end(store, number)
            return found
        try:
            found.append(Generation(**document))
        except TypeError as error:
            where = f"{store.url}/{_record_key(number)}"
            raise StoreError(f"{where} is not the record of a generation: {error}") from error
    raise AssertionError("unreachable")


def _check_end(store: ObjectStore, number: int) -> None:
    """Refuse a hole: without the record of a generation nobody knows what its rows and plans belong to."""
    for later in (number, number + 1):
        for prefix in (generation_prefix(later), f"{COMMITS}g{later:04d}/"):
            for info in store.list(prefix):
                # What a process leaves that was killed before its generation had a record, or after.
                if later > number or not info.key.startswith(_listing_prefix(number)):
                    raise StoreError(
                        f"{store.url}/{_record_key(number)} is missing, but {info.key} is there: without "
                        "this record the run cannot go on or be repaired; put it back from a copy, or begin anew"
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
    record = (json.dumps(dataclasses.asdict(generation), indent=1) + "\n").encode()
    if store.create(_record_key(number), record):
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
    with _damage_told(store, generation):
        for group in range(file.num_row_groups):
            for shard in _shards_of(generation, file.read_row_group(group)):
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
        with _damage_told(store, generation):
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
        with _damage_told(store, generation):
            table = file.read(["path", "copy_of"])
        marked = table.filter(pc.is_valid(table["copy_of"]))["path"].to_pylist()
        if generation.kind == "retry":
            copies.difference_update(table["path"].to_pylist())
        copies.update(marked)
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
    with _damage_told(store, generation):
        data = pa.BufferReader(store.read(generation.listing))
        file = pq.ParquetFile(data, page_checksum_verification=True)
        if file.metadata.num_rows != generation.images:
            raise ValueError(f"it lists {file.metadata.num_rows:,} images, not {generation.images:,}")
        return file


@contextmanager
def _damage_told(store: ObjectStore, generation: Generation) -> Iterator[None]:
    """Turn what a missing or damaged listing raises into a `StoreError` that names it."""
    try:
        yield
    except (FileNotFoundError, PermissionError) as error:
        raise StoreError(str(error)) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(f"{store.url}/{generation.listing} is damaged: {' '.join(str(error).split())}") from error


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
