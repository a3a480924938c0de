"""What Parquet files hold beside images: columns that go along to the output."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from arm_batch.inputs.columns import FEATURE, joined
from arm_batch.inputs.parquet import image_column, reading
from arm_batch.storage.base import ObjectInfo, Readable

LARGEST = 1 << 30
"""Bytes of one column in all files together: all of them are in the driver's memory while a run is listed."""

_READ_AT_ONCE = 8
"""Files; over S3 each waits for the network."""


def other_columns(
    store: Readable, infos: Sequence[ObjectInfo], column: str | None = None
) -> tuple[pa.Table | None, tuple[str, ...]]:
    """The columns of Parquet files that are not of images, a row for each of theirs; and what is left out of them.

    Args:
        store: where the files are.
        infos: the files.
        column: of the images; None to find it.

    Returns:
        None where there is no such column. Lines that say which columns are left out: of `LARGEST` bytes or more,
        or of types that differ from file to file.

    Raises:
        InputError: a file cannot be read.
        StoreError: the store cannot be reached.
    """
    with ThreadPoolExecutor(_READ_AT_ONCE) as threads:
        sizes = sum(threads.map(lambda info: _sizes(store, info, column), infos), Counter[str]())
        large = sorted(name for name, size in sizes.items() if size >= LARGEST)
        names = [name for name in sizes if name not in large]
        skipped = [f"the column {name}: its {sizes[name] >> 20:,} MiB are too many to go along" for name in large]
        if not names:
            return None, tuple(skipped)
        tables = list(threads.map(lambda info: _read(store, info, names), infos))
    table, apart = joined(tables)
    skipped += [f"the column {name}: its type differs from file to file" for name in apart]
    return (table if table.num_columns else None), tuple(skipped)


def _sizes(store: Readable, info: ObjectInfo, named: str | None) -> Counter[str]:
    """Bytes of each column but the images', uncompressed."""
    with reading(store, info) as file:
        images = image_column(file.schema_arrow, f"{store.url}/{info.key}", named).name
        sizes = Counter(dict.fromkeys((name for name in file.schema_arrow.names if name != images), 0))
        for group in range(file.num_row_groups):
            metadata = file.metadata.row_group(group)
            for position in range(metadata.num_columns):
                column = metadata.column(position)
                name = column.path_in_schema.partition(".")[0]
                if name in sizes:
                    sizes[name] += column.total_uncompressed_size
        return sizes


def _read(store: Readable, info: ObjectInfo, names: Sequence[str]) -> pa.Table:
    """These columns of a file; nulls for one that it does not have."""
    with reading(store, info) as file:
        rows, there = file.metadata.num_rows, set(file.schema_arrow.names)
        table = file.read(columns=[name for name in names if name in there])
        features = _features(file.schema_arrow)
        columns = [table[name] if name in there else pa.nulls(rows) for name in names]
        fields = [pa.field(n, c.type, metadata=features.get(n)) for n, c in zip(names, columns, strict=True)]
        return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _features(schema: pa.Schema) -> dict[str, dict[bytes, bytes]]:
    """What Hugging Face `datasets` was told of each column, as metadata of a field."""
    try:
        told: Any = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: {FEATURE: json.dumps(feature).encode()} for name, feature in told.items()}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
