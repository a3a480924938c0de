"""Shard plans as they lie in OUTPUT: written once, read by every worker and every resume.

Planning decodes and scores each image, which is too much to do twice for an archive of millions. So what it
found is kept: one small Parquet file a shard, put there only if there is none yet.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arm_batch.images.formats import FORMATS
from arm_batch.inputs.columns import from_store, to_store
from arm_batch.inputs.sources import Entry
from arm_batch.runstate.damage import REPAIR, damage_told
from arm_batch.runstate.shard_plan import PLAN, ImagePlan, ShardId, ShardPlan
from arm_batch.runstate.table_format import check_format, with_format
from arm_batch.storage.base import ObjectStore

ENTRY_FIELDS = [
    pa.field("path", pa.string(), nullable=False),
    pa.field("key", pa.string(), nullable=False),
    pa.field("row", pa.int64()),
    pa.field("size", pa.int64(), nullable=False),
    pa.field("etag", pa.string(), nullable=False),
    pa.field("offset", pa.int64()),
    pa.field("problem", pa.string()),
    pa.field("copy_of", pa.string()),
    pa.field("output", pa.string(), nullable=False),
]
"""Columns of an input and its output path, in plans and listings."""

_SCHEMA = pa.schema(
    [
        *ENTRY_FIELDS,
        pa.field("source_size", pa.int64(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("scores", pa.list_(pa.field("element", pa.float32())), nullable=False),
        pa.field("error", pa.string()),
        pa.field("format", pa.string()),
        pa.field("notes", pa.list_(pa.field("element", pa.string())), nullable=False),
        # The same in each row. Not in the file's metadata, which has no checksum.
        pa.field("n_scores", pa.int32(), nullable=False),
        pa.field("origin", pa.string()),
    ]
)


def plan_key(shard: ShardId) -> str:
    """Where the plan of a shard lies."""
    return f"{shards_prefix(shard.generation)}{shard.index:06d}.parquet"


def shards_prefix(generation: int) -> str:
    """What the keys of a generation's shard plans begin with."""
    return f"{PLAN}g{generation:04d}/shards/"


def write_plan(store: ObjectStore, plan: ShardPlan) -> ShardPlan:
    """Keep a shard's plan, unless there is one already; returns the one that counts."""
    if store.create(plan_key(plan.id), _to_parquet(plan)):
        return plan
    return read_plan(store, plan.id)


def replace_plan(store: ObjectStore, plan: ShardPlan) -> None:
    """Put a shard's plan into the place of the one that is there."""
    store.write(plan_key(plan.id), _to_parquet(plan))


def read_plan(store: ObjectStore, shard: ShardId) -> ShardPlan:
    """The plan of a shard.

    Raises:
        StoreError: it is missing, damaged, or the store cannot be reached.
        NewerError: it is of a later format.
    """
    key = plan_key(shard)
    with damage_told(store, key, REPAIR):
        table = pq.read_table(pa.BufferReader(store.read(key)), page_checksum_verification=True)
        check_format(table.schema, f"{store.url}/{key}")
        check_columns(table, _SCHEMA)
        plan = _from_table(shard, table)
        check_duplicates(image.entry for image in plan.images)
        return plan


def planned(store: ObjectStore, generation: int) -> set[int]:
    """Numbers of the shards of a generation whose plans are kept."""
    found = set()
    for info in store.list(shards_prefix(generation)):
        number = info.key.removeprefix(shards_prefix(generation)).removesuffix(".parquet")
        # Whatever else somebody has put there is no plan.
        if number.isdecimal() and info.key == plan_key(ShardId(generation, int(number))):
            found.add(int(number))
    return found


def check_columns(table: pa.Table, schema: pa.Schema) -> None:
    """Refuse a table without these columns, of these types, or with gaps where none may be; `ValueError`."""
    for field in schema:
        if not table.schema.field(field.name).equals(field):
            raise ValueError(f"its column {field.name} is of another type")
        if not field.nullable and table[field.name].null_count:
            raise ValueError(f"its column {field.name} has gaps")


def entry_columns(entries: Sequence[Entry], outputs: Sequence[str]) -> list[pa.Array]:
    """Values of `ENTRY_FIELDS`."""
    columns = [pa.array([getattr(e, f.name) for e in entries], f.type) for f in ENTRY_FIELDS[:-1]]
    return [*columns, pa.array(outputs, pa.string())]


def entries_of(table: pa.Table) -> list[Entry]:
    """The inputs in a table with `ENTRY_FIELDS`."""
    names = [field.name for field in ENTRY_FIELDS[:-1]]
    return [Entry(**values) for values in table.select(names).to_pylist()]


def check_duplicates(entries: Iterable[Entry]) -> None:
    """Refuse the inputs of a shard of which one is said to be a copy of none before it; `ValueError`."""
    originals: set[str] = set()
    for entry in entries:
        if entry.copy_of is None:
            originals.add(entry.path)
        elif entry.copy_of not in originals:
            raise ValueError(f"{entry.path} is called a copy of {entry.copy_of!r}, which is not before it")


def _to_parquet(plan: ShardPlan) -> bytes:
    images = plan.images
    columns = entry_columns([i.entry for i in images], [i.output for i in images])
    for name in ("source_size", "height", "width"):
        columns.append(pa.array([getattr(i, name) for i in images], _SCHEMA.field(name).type))
    offsets = np.concatenate([[0], np.cumsum([i.scores.size for i in images])]).astype(np.int32)
    scores = pa.array(plan.scores().ravel(), pa.float32())
    columns.append(pa.ListArray.from_arrays(offsets, scores, type=_SCHEMA.field("scores").type))
    for name in ("error", "format", "notes"):
        columns.append(pa.array([getattr(i, name) for i in images], _SCHEMA.field(name).type))
    columns.append(pa.array([plan.scores().shape[1]] * len(images), pa.int32()))
    columns.append(pa.array([None if plan.origin is None else str(plan.origin)] * len(images), pa.string()))
    added = to_store(plan.passthrough)
    schema = with_format(pa.schema([*_SCHEMA, *(field for field, _ in added)]))
    table = pa.Table.from_arrays([*columns, *(column for _, column in added)], schema=schema)
    buffer = io.BytesIO()
    pq.write_table(
        table, buffer, compression="zstd", use_dictionary=False, write_statistics=False, write_page_checksum=True
    )
    return buffer.getvalue()


def _from_table(shard: ShardId, table: pa.Table) -> ShardPlan:
    scores = table["scores"].combine_chunks()
    n_scores = table["n_scores"][0].as_py()
    if n_scores < 1:
        raise ValueError("it has no scores")
    offsets = scores.offsets.to_numpy() // n_scores
    per_image = np.split(scores.values.to_numpy().reshape(-1, n_scores), offsets[1:-1])
    rest = (table[name].to_pylist() for name in ("output", "source_size", "height", "width"))
    found = (table[name].to_pylist() for name in ("error", "format", "notes"))
    images = tuple(
        ImagePlan(entry, output, size, height, width, values, error, format, tuple(notes))
        for entry, output, size, height, width, values, error, format, notes in zip(
            entries_of(table), *rest, per_image, *found, strict=True
        )
    )
    if not all(_is_sound(image) for image in images):
        raise ValueError("it says of an image what cannot be")
    origin = table["origin"][0].as_py()
    return ShardPlan(shard, images, None if origin is None else ShardId.parse(origin), from_store(table))


def _is_sound(image: ImagePlan) -> bool:
    """Whether an image that is to be upscaled has a size and a format."""
    if image.error is not None or image.entry.copy_of is not None:
        return True
    return image.format in FORMATS and min(image.height, image.width) > 0
