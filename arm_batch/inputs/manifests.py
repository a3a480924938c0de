"""Lists of images: text files, tables and Parquet files that name them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import partial
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from arm_batch.errors import InputError, ObjectError
from arm_batch.inputs.parquet import is_binary, is_text, read_schema
from arm_batch.inputs.paths import safe_path
from arm_batch.inputs.sources import Entry, broken
from arm_batch.inputs.uris import Places, resolve
from arm_batch.storage.base import ObjectInfo, ObjectStore
from arm_batch.storage.overlap import overlapped

TEXT_LISTS = frozenset({".txt", ".csv", ".tsv"})
"""Extensions of files that hold nothing but names of images."""

NAME_COLUMNS = ("path", "file_name", "uri", "url")
"""What the column of names may be called."""

_STATS_AT_ONCE = 32
"""Each waits for the network where the images are in S3."""

Names = list[tuple[int, str]]
"""Number of the line or row, from 1, and what it names."""


def names_images(store: ObjectStore, info: ObjectInfo) -> bool:
    """Whether a Parquet file names images and holds none.

    Raises:
        InputError: it cannot be read as Parquet.
        StoreError: the store cannot be reached.
    """
    schema = read_schema(store, info)
    holds = any(is_binary(field.type) or pa.types.is_struct(field.type) for field in schema)
    texts = [field.name for field in schema if is_text(field.type)]
    return not holds and _name_column(texts, schema.names) is not None


def list_entries(
    store: ObjectStore, key: str, places: Places
) -> tuple[list[Entry], tuple[str, ...], pa.Table | None]:
    """The images that a list names, in its order. What cannot be found is an entry with a problem.

    Args:
        store: the folder that the list is in.
        key: of the list.
        places: where its images are.

    Returns:
        The entries; nothing that is left out; and the columns of the list, if it has more than names.

    Raises:
        InputError: the list cannot be read, names nothing, or nothing but what no store holds.
        StoreError: a store cannot be reached.
    """
    names, table = _read(store, key)
    if not names:
        raise InputError(f"{store.url}/{key} names no image")
    named = [_named(store, key, number, uri) for number, uri in names]
    if all(entry.problem is not None for entry in named):
        raise InputError(f"{store.url}/{key} names nothing that can be read; {names[0][0]}: {named[0].problem}")
    entries = [found() for found in overlapped(partial(_found, places), named, at_once=_STATS_AT_ONCE)]
    return entries, (), None if table is None or table.num_columns < 2 else table


def _named(store: ObjectStore, key: str, number: int, uri: str) -> Entry:
    if not uri.strip():
        return broken(f"{key}/{number:08d}", "", "the list names nothing here")
    try:
        place, path = resolve(uri, store)
    except InputError as error:
        return broken(safe_path(uri), "", str(error))
    return Entry(path=safe_path(path), key=place, row=None, size=-1, etag="")


def _found(places: Places, entry: Entry) -> Entry:
    if entry.problem is not None:
        return entry
    try:
        info = places.stat(entry.key)
    except FileNotFoundError:
        return broken(entry.path, entry.key, "does not exist, or is a folder")
    except PermissionError:
        return broken(entry.path, entry.key, "permission denied")
    except ObjectError as error:
        return broken(entry.path, entry.key, error.reason)
    return Entry(path=entry.path, key=entry.key, row=None, size=info.size, etag=info.etag)


def _read(store: ObjectStore, key: str) -> tuple[Names, pa.Table | None]:
    where = f"{store.url}/{key}"
    try:
        data = store.read(key)
    except (FileNotFoundError, PermissionError, ObjectError) as error:
        raise InputError(str(error)) from error
    suffix = PurePosixPath(key).suffix.lower()
    if suffix == ".parquet":
        return _of_parquet(data, where)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{where} is UTF-16: save it as UTF-8")
    # What is not UTF-8 cannot be the name of anything that is read: it is named as what does not exist.
    text = data.decode("utf-8-sig", "backslashreplace")
    if suffix == ".txt":
        lines = enumerate(text.split("\n"), 1)
        return [(n, line.rstrip("\r")) for n, line in lines if line.strip() and not line.startswith("#")], None
    return _of_table(text, "," if suffix == ".csv" else "\t", where)


def _of_table(text: str, delimiter: str, where: str) -> tuple[Names, pa.Table]:
    header, *body = _rows(text, delimiter, where) or [[]]
    position = header.index(_checked_column(header, header, where))
    for number, row in enumerate(body, 1):
        if len(row) != len(header):
            raise InputError(f"{where}: row {number} has {len(row)} cells where the header has {len(header)}")
    names = [name or f"column {number}" for number, name in enumerate(header, 1)]
    # All of it stays text: guesses at types would change as lines are added.
    columns = [pa.array([row[place] for row in body], pa.string()) for place in range(len(header))]
    table = pa.Table.from_arrays(columns, names)
    return [(number, row[position]) for number, row in enumerate(body, 1)], table


def _rows(text: str, delimiter: str, where: str) -> list[list[str]]:
    """The lines of a table that are not empty, cut into cells."""
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if row]
    except csv.Error as error:
        raise InputError(f"{where} cannot be read as a table: {error}") from error


def _of_parquet(data: bytes, where: str) -> tuple[Names, pa.Table]:
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        texts = [field.name for field in file.schema_arrow if is_text(field.type)]
        name = _checked_column(texts, file.schema_arrow.names, where)
        table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{where} cannot be read as Parquet: {' '.join(str(error).split())}") from error
    return [(number, value or "") for number, value in enumerate(table[name].to_pylist(), 1)], table


def _checked_column(texts: Sequence[str], columns: Sequence[str], where: str) -> str:
    found = _name_column(texts, columns)
    if found is None:
        raise InputError(
            f"{where}: which column names the images? None is called {', '.join(NAME_COLUMNS[:-1])} or "
            f"{NAME_COLUMNS[-1]}; there are: {', '.join(columns) or 'none'}"
        )
    return found


def _name_column(texts: Sequence[str], columns: Sequence[str]) -> str | None:
    """By its name, else the only one."""
    by_name = next((name for name in NAME_COLUMNS if name in texts), None)
    return texts[0] if by_name is None and len(columns) == len(texts) == 1 else by_name
