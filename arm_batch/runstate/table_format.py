"""The format that a listing or a shard plan says it is in, as records in JSON do.

It stands in the metadata of the Parquet file. That has no checksum, so the number has one of its own: a flipped
bit makes no later format. What was written before there were formats says none, and is read as format 1.
"""

from __future__ import annotations

import hashlib

import pyarrow as pa

from arm_batch.errors import NewerError

_KEY = b"arm_batch.format"

_FORMAT = 1


def with_format(schema: pa.Schema) -> pa.Schema:
    """The schema of a table that says its format."""
    return schema.with_metadata({_KEY: _spelled(_FORMAT)})


def check_format(schema: pa.Schema, where: str) -> None:
    """Refuse a table of a later format.

    Args:
        schema: of the table.
        where: its file lies, for the message.

    Raises:
        NewerError: it was written by a later version.
        ValueError: what it says of its format is damaged.
    """
    told = (schema.metadata or {}).get(_KEY, _spelled(_FORMAT))
    number = told.split(b" ")[0]
    if not number.isdigit() or len(number) > 9 or told != _spelled(int(number)):
        raise ValueError("what it says of its format is no format")
    if int(number) > _FORMAT:
        raise NewerError(
            f"{where} was written by a newer arm-batch, in format {int(number)} (this one reads up to {_FORMAT}): "
            "use that version or a later one"
        )


def _spelled(number: int) -> bytes:
    """A number and what tells that it is meant."""
    return f"{number} {hashlib.sha256(f'format {number}'.encode()).hexdigest()[:16]}".encode()
