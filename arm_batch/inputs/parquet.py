"""Parquet files that hold image bytes, as Hugging Face datasets and others write them."""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from arm_batch.core.arrays import Counts
from arm_batch.errors import ImageError, InputError, StoreError
from arm_batch.storage.base import ObjectInfo, Readable, is_safe_key

_IMAGE_COLUMN = "image"
_NAME_COLUMNS = ("path", "file_name")

# Readers of Parquet files keep a position: one at a time in a process.
_lock = threading.Lock()


@dataclass(frozen=True)
class ImageColumn:
    """Where in a schema image bytes and names are.

    Attributes:
        name: of the column.
        leaf: what of it holds the bytes, as Parquet spells it: ``image.bytes``, ``jpg``.
        path_leaf: what holds the images' names, or None.
    """

    name: str
    leaf: str
    path_leaf: str | None


def image_column(schema: pa.Schema, where: str, named: str | None = None) -> ImageColumn:
    """Find the column of image bytes: binary, or a struct whose ``bytes`` are.

    That is the one which is named, else ``image``, else the only one of these.

    Args:
        schema: of the file.
        where: the file, for the message.
        named: by the user; None where they leave it open.

    Raises:
        InputError: there is no such column, or no telling which.
    """
    names = next(
        (name for name in _NAME_COLUMNS if name in schema.names and is_text(schema.field(name).type)), None
    )
    field = schema.field(_column_of_images(schema, where, named))
    has_paths = pa.types.is_struct(field.type) and is_text(_member(field.type, "path"))
    return ImageColumn(field.name, str(_image_leaf(field)), names or (f"{field.name}.path" if has_paths else None))


def _column_of_images(schema: pa.Schema, where: str, named: str | None) -> str:
    found = [field.name for field in schema if _image_leaf(field) is not None]
    there = ", ".join(schema.names) or "none"
    if named is not None:
        if named not in found:
            raise InputError(f"{where}: the column {named} holds no images' bytes. There are: {there}")
        return named
    if _IMAGE_COLUMN in found:
        return _IMAGE_COLUMN
    if len(found) != 1:
        hint = f"; --image-column says which of {', '.join(found)}" if found else ""
        raise InputError(f"{where}: which column holds the images? There are: {there}{hint}")
    return str(found[0])


def _image_leaf(field: Any) -> str | None:
    """What of a column might hold images; None where nothing does."""
    if is_binary(field.type):
        return str(field.name)
    if pa.types.is_struct(field.type) and is_binary(_member(field.type, "bytes")):
        return f"{field.name}.bytes"
    return None


def parquet_names(store: Readable, infos: Sequence[ObjectInfo], column: str | None = None) -> list[list[str]]:
    """A path for each row of each file, unique among all of them.

    A row keeps the name that its file gives it where that is safe and no other row's; otherwise it gets the file's
    key and its number.

    Args:
        store: where the files are.
        infos: the Parquet files.
        column: of the images; None to find it.

    Raises:
        InputError: a file cannot be read as Parquet or has no column of images.
    """
    given = [_given_names(store, info, column) for info in infos]
    numbers = [_numbered(info, len(names)) for info, names in zip(infos, given, strict=True)]
    named = [list(zip(*rows, strict=True)) for rows in zip(_own_names(given), numbers, strict=True)]
    needed = {number for rows in named for name, number in rows if name is None}
    if not needed.isdisjoint(chain.from_iterable(given)):
        # Names that look like our numbers: then numbers for all.
        return numbers
    return [[number if name is None else name for name, number in rows] for rows in named]


def _own_names(given: Sequence[Sequence[str | None]]) -> list[list[str | None]]:
    """Of each row of each file the name that it keeps; None where that is not safe, or another row has it too."""
    counts = Counter(name for names in given for name in names if name is not None)
    own = {name for name, count in counts.items() if count == 1 and is_safe_key(name)}
    return [[name if name in own else None for name in names] for names in given]


def _numbered(info: ObjectInfo, rows: int) -> list[str]:
    return [f"{info.key.removesuffix('.parquet')}/{row:08d}" for row in range(rows)]


def read_row(store: Readable, key: str, etag: str, row: int, column: str | None = None) -> bytes:
    """The image bytes of one row; rows of one file are cheapest in order.

    The file's footer and its last row group stay in memory for the next call; the file itself is not kept open.

    Raises:
        ImageError: the row has no image, is damaged, or the file changed since it was listed.
        FileNotFoundError, PermissionError, StoreError: as `ObjectStore`.
    """
    with _lock:
        try:
            footer = _footer(store, key, etag, column)
            group = int(np.searchsorted(footer.starts, row, side="right")) - 1
            value = _row_group(store, key, etag, column, group)[row - int(footer.starts[group])].as_py()
        except (FileNotFoundError, PermissionError):
            raise
        except (pa.ArrowException, OSError, IndexError) as error:
            # Arrow's own errors; what the store raises while Arrow reads comes through as itself.
            raise ImageError(f"cannot be read from its Parquet file: {_one_line(error)}") from error
    if value is None:
        raise ImageError("no image in this row")
    return bytes(value)


@dataclass(frozen=True, kw_only=True)
class _Footer:
    info: ObjectInfo
    metadata: Any
    column: ImageColumn
    starts: Counts


@functools.lru_cache(maxsize=1)
def _footer(store: Readable, key: str, etag: str, column: str | None) -> _Footer:
    info = store.stat(key)
    if info.etag != etag:
        raise ImageError("changed since it was listed")
    with store.open(info) as stream:
        file = pq.ParquetFile(stream)
        rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(rows[:-1])]).astype(np.int64)
        return _Footer(
            info=info, metadata=file.metadata, column=image_column(file.schema_arrow, key, column), starts=starts
        )


@functools.lru_cache(maxsize=1)
def _row_group(store: Readable, key: str, etag: str, column: str | None, group: int) -> Any:
    footer = _footer(store, key, etag, column)
    with store.open(footer.info) as stream:
        file = pq.ParquetFile(stream, metadata=footer.metadata)
        found = file.read_row_group(group, columns=[footer.column.leaf]).column(footer.column.name)
    return _leaf(found, footer.column.leaf)


def read_schema(store: Readable, info: ObjectInfo) -> pa.Schema:
    """The columns of a Parquet file.

    Raises:
        InputError: it cannot be read as Parquet.
        StoreError: the store cannot be reached.
    """
    with reading(store, info) as file:
        return file.schema_arrow


def _given_names(store: Readable, info: ObjectInfo, named: str | None) -> list[str | None]:
    with reading(store, info) as file:
        leaf = image_column(file.schema_arrow, f"{store.url}/{info.key}", named).path_leaf
        if leaf is None:
            return [None] * int(file.metadata.num_rows)
        table = file.read(columns=[leaf])
        names: list[str | None] = _leaf(table.column(0), leaf).to_pylist()
        return names


@contextmanager
def reading(store: Readable, info: ObjectInfo) -> Iterator[pq.ParquetFile]:
    """A file that is read while INPUT is listed, where its faults are those of INPUT."""
    where = f"{store.url}/{info.key}"
    try:
        with store.open(info) as stream:
            yield pq.ParquetFile(stream)
    except (FileNotFoundError, PermissionError) as error:
        raise StoreError(str(error)) from error
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{where} cannot be read as Parquet: {_one_line(error)}") from error


def _leaf(column: Any, leaf: str) -> Any:
    """The member of a struct column that `leaf` names, or the column itself; null where the struct is."""
    member = leaf.partition(".")[2]
    if not member or not pa.types.is_struct(column.type):
        return column
    return pc.struct_field(column, member)


def _member(kind: Any, name: str) -> Any:
    return kind.field(name).type if kind.get_field_index(name) >= 0 else pa.null()


def is_binary(kind: Any) -> bool:
    """Whether a type of Arrow's is one of bytes."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def is_text(kind: Any) -> bool:
    """Whether a type of Arrow's is one of text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
