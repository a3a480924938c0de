"""The inputs of generations, as they were listed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from arm_batch.errors import StoreError
from arm_batch.inputs.columns import from_store, schema_in
from arm_batch.runstate.damage import LOST, damage_told
from arm_batch.runstate.generation import Generation, check_kept
from arm_batch.runstate.listing_table import LISTING_SCHEMA
from arm_batch.runstate.plan_files import check_columns, check_duplicates, entries_of
from arm_batch.runstate.shard_plan import Shard, ShardId
from arm_batch.runstate.table_format import check_format
from arm_batch.storage.base import ObjectStore


def read_shards(store: ObjectStore, generation: Generation) -> Iterator[Shard]:
    """The inputs of a generation as they were listed, shard by shard and a few shards at a time.

    Raises:
        StoreError: the listing is missing, damaged, or not the one that was recorded.
        NewerError: it is of a later format.
    """
    file = _open_listing(store, generation)
    index = 0
    with damage_told(store, generation.listing, LOST):
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            check_columns(table, LISTING_SCHEMA)
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


def passthrough_schema(store: ObjectStore, generation: Generation) -> pa.Schema:
    """The columns that came along with the inputs of a generation; empty for none."""
    return schema_in(_open_listing(store, generation).schema_arrow)


def count_duplicates(store: ObjectStore, generations: Iterable[Generation]) -> int:
    """Inputs that are copies of others, each as the last of these generations has it."""
    duplicates: set[str] = set()
    for generation in generations:
        file = _open_listing(store, generation)
        with damage_told(store, generation.listing, LOST):
            table = file.read(["path", "copy_of"])
            if generation.kind == "retry":
                duplicates.difference_update(table["path"].to_pylist())
            duplicates.update(table.filter(pc.is_valid(table["copy_of"]))["path"].to_pylist())
    return len(duplicates)


def _shards_of(generation: Generation, table: pa.Table) -> Iterator[Shard]:
    entries, outputs = entries_of(table), table["output"].to_pylist()
    origins, passthrough = table["origin"].to_pylist(), from_store(table)
    start = 0
    for index, members in itertools.groupby(table["shard"].to_pylist()):
        stop = start + sum(1 for _ in members)
        origin = None if origins[start] is None else ShardId.parse(origins[start])
        shard = ShardId(generation.number, index)
        # A copy, so that no shard travels with the columns of all.
        own = None if passthrough is None else passthrough.take(pa.array(range(start, stop), pa.int64()))
        check_duplicates(entries[start:stop])
        yield Shard(shard, tuple(entries[start:stop]), tuple(outputs[start:stop]), origin, own)
        start = stop


def _read_listing(store: ObjectStore, generation: Generation) -> bytes:
    try:
        return store.read(generation.listing)
    except FileNotFoundError:
        check_kept(store, generation)
        raise


def _open_listing(store: ObjectStore, generation: Generation) -> pq.ParquetFile:
    with damage_told(store, generation.listing, LOST):
        data = pa.BufferReader(_read_listing(store, generation))
        file = pq.ParquetFile(data, page_checksum_verification=True)
        check_format(file.schema_arrow, f"{store.url}/{generation.listing}")
        check_columns(file.schema_arrow.empty_table(), LISTING_SCHEMA)
        if file.metadata.num_rows != generation.images:
            raise ValueError(f"it lists {file.metadata.num_rows:,} images, not {generation.images:,}")
        return file
