"""Reading parts back, whole and as they were committed."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq

from arm_batch.errors import StoreError
from arm_batch.store.commit import Part
from arm_batch.store.objects import ObjectStore


def read_part(store: ObjectStore, part: Part) -> bytes:
    """The bytes of a part.

    Raises:
        StoreError: it is missing, or not what was committed.
    """
    try:
        data = store.read(part.key)
    except (FileNotFoundError, PermissionError) as error:
        raise StoreError(f"the part cannot be read: {error}") from error
    if len(data) != part.size or hashlib.sha256(data).hexdigest() != part.sha256:
        raise StoreError(f"{store.url}/{part.key} is not what was committed: its size or SHA-256 differs")
    return data


def read_table(store: ObjectStore, part: Part, columns: list[str] | None = None) -> pa.Table:
    """The rows of a part, or some of their columns.

    Raises:
        StoreError: as `read_part`, or it is not Parquet with as many rows as were committed.
    """
    try:
        table = pq.read_table(pa.BufferReader(read_part(store, part)), columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{store.url}/{part.key} cannot be read as Parquet: {error}") from error
    if table.num_rows != part.rows:
        raise StoreError(f"{store.url}/{part.key} has {table.num_rows} rows, not {part.rows}")
    return table


def read_paths(store: ObjectStore, part: Part) -> set[str]:
    """The input paths of a part's rows; errors as of `read_table`."""
    return set(read_table(store, part, ["path"])["path"].to_pylist())
