"""Reading parts back, whole and as they were committed."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq

from arm_batch.errors import StoreError
from arm_batch.runstate.commit import Part
from arm_batch.runstate.damage import REPAIR, damage_told
from arm_batch.storage.base import ObjectStore


def read_part(store: ObjectStore, part: Part) -> bytes:
    """The bytes of a part.

    Raises:
        StoreError: it is missing, or not what was committed.
    """
    with damage_told(store, part.key, REPAIR):
        data = store.read(part.key)
    if len(data) != part.size or hashlib.sha256(data).hexdigest() != part.sha256:
        raise StoreError(
            f"{store.url}/{part.key} is not what was committed: its size or SHA-256 differs; {REPAIR}"
        )
    return data


def read_table(store: ObjectStore, part: Part, columns: list[str] | None = None) -> pa.Table:
    """The rows of a part, or some of their columns.

    Raises:
        StoreError: as `read_part`, or it is not Parquet with as many rows as were committed.
    """
    data = read_part(store, part)
    with damage_told(store, part.key, REPAIR):
        table = pq.read_table(pa.BufferReader(data), columns=columns)
        if table.num_rows != part.rows:
            raise ValueError(f"it has {table.num_rows} rows, not {part.rows}")
        return table


def read_paths(store: ObjectStore, part: Part) -> set[str]:
    """The input paths of a part's rows; errors as of `read_table`."""
    return set(read_table(store, part, ["path"])["path"].to_pylist())


def paths_in(store: ObjectStore, key: str) -> set[str]:
    """The input paths of the rows in a file that may be a part, without a record that says what it should be.

    Raises:
        StoreError: it is missing or damaged.
    """
    with damage_told(store, key, REPAIR):
        return set(pq.read_table(pa.BufferReader(store.read(key)), columns=["path"])["path"].to_pylist())
