"""Columns that an input has beside its images, and that go along to the output's rows."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from arm_batch.errors import InputError

PREFIX = "input_"
"""Of an input's column that is called like one of ours."""

FEATURE = b"huggingface"
"""Key of a field's metadata: what Hugging Face `datasets` was told of the column, as JSON."""

_STORED = "extra:"
"""What the columns are called beside others in listings and plans."""


@dataclass(frozen=True)
class PassthroughColumns:
    """Columns for the entries of a listing.

    Attributes:
        table: as the input has it, or as `clean` leaves it.
        rows: of each entry, by path; an entry that has none gets nulls.
    """

    table: pa.Table
    rows: Mapping[str, int]

    def of(self, paths: Iterable[str]) -> pa.Table:
        """A row for each path, in order."""
        return self.table.take(pa.array([self.rows.get(path) for path in paths], pa.int64()))


def clean(table: pa.Table, taken: Collection[str]) -> pa.Table:
    """Columns as they can stand beside others in an output.

    Dictionaries and extension types become what they stand for, columns of nothing but nulls become text, and a
    name that is taken gets `PREFIX`. The schema is one that a Parquet file gives back as it went in.

    Args:
        table: columns of an input.
        taken: names of the columns that are there already.
    """
    fields: dict[str, pa.Field] = {}
    for field in table.schema:
        name = field.name
        while name in taken or name in fields:
            name = PREFIX + name
        told = {FEATURE: feature} if (feature := (field.metadata or {}).get(FEATURE)) else None
        fields[name] = pa.field(name, _plain(field.type), metadata=told)
    buffer = io.BytesIO()
    pq.write_table(pa.schema(fields.values()).empty_table(), buffer)
    back = pq.read_schema(pa.BufferReader(buffer.getvalue()))
    schema = pa.schema([field.with_type(back.field(name).type) for name, field in fields.items()])
    columns = [column.cast(field.type) for column, field in zip(table.columns, schema, strict=True)]
    return pa.Table.from_arrays(columns, schema=schema)


def fitted(table: pa.Table | None, rows: int, schema: pa.Schema) -> pa.Table | None:
    """`table` with the columns that a run has had from its beginning.

    What is missing becomes nulls, and what is new is left out.

    Args:
        table: None for no columns at all.
        rows: of it.
        schema: of the run's columns.

    Raises:
        InputError: a column is of another type now.
    """
    if not len(schema):
        return None
    columns = []
    for field in schema:
        if table is None or field.name not in table.schema.names:
            columns.append(pa.nulls(rows, field.type))
            continue
        try:
            columns.append(table[field.name].cast(field.type))
        except pa.ArrowException as error:
            was, now = field.type, table.schema.field(field.name).type
            raise InputError(f"the column {field.name} of the input was {was}, and is {now}") from error
    return pa.Table.from_arrays(columns, schema=schema)


def joined(tables: Sequence[pa.Table]) -> tuple[pa.Table, list[str]]:
    """Tables of the same columns one below the other, without those whose types cannot become one.

    Returns:
        The table, and the names of the columns that it lacks.
    """
    columns: list[Any] = []
    fields: list[pa.Field] = []
    apart: list[str] = []
    for name in tables[0].schema.names:
        parts = [table.select([name]) for table in tables]
        try:
            column = pa.concat_tables(parts, promote_options="permissive").column(0)
        except pa.ArrowException:
            apart.append(name)
            continue
        told = next((field.metadata for part in parts if (field := part.schema.field(0)).metadata), None)
        columns.append(column)
        fields.append(pa.field(name, column.type, metadata=told))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields)), apart


def to_store(passthrough: pa.Table | None) -> list[tuple[pa.Field, Any]]:
    """Fields and columns for a listing or a plan."""
    if passthrough is None:
        return []
    return [(f.with_name(_STORED + f.name), passthrough[f.name]) for f in passthrough.schema]


def from_store(table: pa.Table) -> pa.Table | None:
    """What `to_store` put into a table; None where that was nothing."""
    names = [name for name in table.schema.names if name.startswith(_STORED)]
    if not names:
        return None
    # What the file says of itself is not the input's.
    own = table.select(names).replace_schema_metadata(None)
    return own.rename_columns([name.removeprefix(_STORED) for name in names])


def schema_in(schema: pa.Schema) -> pa.Schema:
    """The schema of what `to_store` put into a table with `schema`."""
    return pa.schema([f.with_name(f.name.removeprefix(_STORED)) for f in schema if f.name.startswith(_STORED)])


def _plain(kind: Any) -> Any:
    """A type without dictionaries, extensions and nulls, down to its members."""
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(kind.field(i)) for i in range(kind.num_fields)])
    lists: list[tuple[Callable[[Any], bool], Callable[[Any], Any]]] = [
        (pa.types.is_list, pa.list_),
        (pa.types.is_large_list, pa.large_list),
        (pa.types.is_fixed_size_list, lambda field: pa.list_(field, kind.list_size)),
    ]
    for is_kind, make in lists:
        if is_kind(kind):
            return make(_plain_field(kind.value_field))
    return kind


def _plain_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, _plain(field.type), field.nullable)
