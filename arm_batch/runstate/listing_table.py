"""The listing of a generation, its inputs shard by shard, as Parquet."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from arm_batch.inputs.columns import to_store
from arm_batch.runstate.plan_files import ENTRY_FIELDS, entry_columns
from arm_batch.runstate.shard_plan import Shard
from arm_batch.runstate.table_format import with_format

LISTING_SCHEMA = pa.schema(
    [pa.field("shard", pa.int32(), nullable=False), *ENTRY_FIELDS, pa.field("origin", pa.string())]
)
"""Columns of a listing, beside those that came along with the inputs."""

_ROWS_AT_ONCE = 16_384
"""Of a listing, in memory as Python objects."""


def encode_listing(shards: Sequence[Shard]) -> bytes:
    """The file of a listing, with a checksum of each page; `runstate.listing` reads it."""
    buffer = io.BytesIO()
    added = [] if not shards else to_store(shards[0].passthrough)
    schema = with_format(pa.schema([*LISTING_SCHEMA, *(field for field, _ in added)]))
    with pq.ParquetWriter(
        buffer, schema, compression="zstd", write_statistics=False, write_page_checksum=True
    ) as writer:
        for batch in _batches(shards):
            table = _to_table(batch)
            if added:
                for field, column in to_store(pa.concat_tables([shard.passthrough for shard in batch])):
                    table = table.append_column(field, column)
            writer.write_table(table)
    return buffer.getvalue()


def _to_table(shards: Sequence[Shard]) -> pa.Table:
    """The columns of every listing."""
    entries = [entry for shard in shards for entry in shard.entries]
    outputs = [output for shard in shards for output in shard.outputs]
    indices = [shard.id.index for shard in shards for _ in shard.entries]
    origins = [None if s.origin is None else str(s.origin) for s in shards for _ in s.entries]
    columns = [pa.array(indices, pa.int32()), *entry_columns(entries, outputs), pa.array(origins, pa.string())]
    return pa.Table.from_arrays(columns, schema=LISTING_SCHEMA)


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
