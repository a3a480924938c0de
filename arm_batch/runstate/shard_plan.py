"""The plan of a shard as it lies in OUTPUT: written once, read by every worker and every resume.

Planning decodes and scores each image, which is too much to do twice for an archive of millions. So what it
found is kept: one small Parquet file a shard, put there only if there is none yet.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arm_batch.core.arrays import Scores
from arm_batch.images.formats import FORMATS
from arm_batch.inputs.columns import from_store, to_store
from arm_batch.inputs.sources import Entry
from arm_batch.runstate.damage import REPAIR, damage_told
from arm_batch.storage.base import ObjectStore

PLAN = "plan/"
"""Prefix of everything that belongs to plans."""


@dataclass(frozen=True, order=True, slots=True)
class ShardId:
    """Names a shard for good: its generation and its number in it."""

    generation: int
    index: int

    def __str__(self) -> str:
        return f"g{self.generation:04d}/{self.index:06d}"

    @staticmethod
    def parse(text: str) -> ShardId:
        """Read what `str` wrote; `ValueError` for anything else.

        >>> ShardId.parse("g0001/000042")
        ShardId(generation=1, index=42)
        """
        match = re.fullmatch(r"g(\d{4,})/(\d{6,})", text)
        if match is None:
            raise ValueError(f"not a shard: {text!r}")
        return ShardId(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class Shard:
    """Images that are planned, run and committed together.

    Attributes:
        id: of the shard.
        entries: the inputs.
        outputs: their output paths.
        origin: the shard whose failed images these are, in a generation that tries them again.
        extras: the input's columns of each entry; None where it has none.
    """

    id: ShardId
    entries: tuple[Entry, ...]
    outputs: tuple[str, ...]
    origin: ShardId | None = None
    extras: pa.Table | None = None


@dataclass(frozen=True)
class ImagePlan:
    """One image after planning.

    Attributes:
        entry: the input.
        output: output path, with the extension of its format.
        source_size: bytes; -1 when they could not be read.
        height: LR px.
        width: LR px.
        scores: of each tile, ``(n_tiles, n_scores)``; none when the image failed, is a copy or is interpolated.
        error: why it failed.
        format: that it will be written in, a key of `FORMATS`; None when it failed.
        notes: what a user should know of how it is read and written, one line each.
    """

    entry: Entry
    output: str
    source_size: int
    height: int
    width: int
    scores: Scores
    error: str | None
    format: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_interpolated(self) -> bool:
        """Whether it is upscaled without nets and out of nobody's budget, as what nets would spoil."""
        return self.error is None and self.entry.copy_of is None and not len(self.scores)


_LEFT = "left to "


def left_to(image: ImagePlan) -> ShardId | None:
    """The shard of a later generation that an image was left to, see `leave`; None for most."""
    if image.error is None or not image.error.startswith(_LEFT):
        return None
    return ShardId.parse(image.error.removeprefix(_LEFT))


def leave(image: ImagePlan, retry: ShardId) -> ImagePlan:
    """An image of a shard that is done again, although a later shard has tried that image again: it is none of its
    own any more."""
    return replace(image, error=f"{_LEFT}{retry}")


@dataclass(frozen=True)
class ShardPlan:
    """One shard after planning: all that later stages need except the pixels; `extras` as of `Shard`."""

    id: ShardId
    images: tuple[ImagePlan, ...]
    origin: ShardId | None = None
    extras: pa.Table | None = None

    def originals(self) -> list[int]:
        """Positions of the images that are no copies of others."""
        return [position for position, image in enumerate(self.images) if image.entry.copy_of is None]

    def scores(self) -> Scores:
        """The scores of all tiles, image by image, ``(n_tiles, n_scores)``."""
        return np.concatenate([image.scores for image in self.images])


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
    """
    key = plan_key(shard)
    with damage_told(store, key, REPAIR):
        table = pq.read_table(pa.BufferReader(store.read(key)), page_checksum_verification=True)
        check_columns(table, _SCHEMA)
        return _from_table(shard, table)


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
    added = to_store(plan.extras)
    schema = pa.schema([*_SCHEMA, *(field for field, _ in added)])
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
