"""The kinds of files that images come in, and what the images of each are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import pyarrow as pa

from arm_batch.inputs.parquet import parquet_names
from arm_batch.inputs.parquet_columns import other_columns
from arm_batch.inputs.paths import safe_path
from arm_batch.inputs.sources import Entry, is_image
from arm_batch.inputs.tar_members import list_tars
from arm_batch.storage.base import ObjectInfo, ObjectStore

Kind = Literal["image", ".tar", ".parquet"]


@dataclass(frozen=True)
class Found:
    """What files hold: entries in any order, paths perhaps twice, and a row of `table` for each entry."""

    entries: list[Entry]
    skipped: tuple[str, ...] = ()
    table: pa.Table | None = None


def _files(store: ObjectStore, infos: Sequence[ObjectInfo], column: str | None) -> Found:
    del store, column
    return Found(
        [Entry(path=safe_path(info.key), key=info.key, row=None, size=info.size, etag=info.etag) for info in infos]
    )


def _members(store: ObjectStore, infos: Sequence[ObjectInfo], column: str | None) -> Found:
    del column
    return Found(*list_tars(store, infos))


def _rows(store: ObjectStore, infos: Sequence[ObjectInfo], column: str | None) -> Found:
    names = parquet_names(store, infos, column)
    entries = [
        Entry(path=path, key=info.key, row=row, size=-1, etag=info.etag)
        for info, paths in zip(infos, names, strict=True)
        for row, path in enumerate(paths)
    ]
    table, skipped = other_columns(store, infos, column)
    return Found(entries, skipped, table)


LISTED: dict[Kind, Callable[[ObjectStore, Sequence[ObjectInfo], str | None], Found]] = {
    "image": _files,
    ".tar": _members,
    ".parquet": _rows,
}
"""What the images of each kind of file are; of several kinds the first that is there is taken."""


def kind_of(key: str) -> Kind | None:
    """The kind of a file, as its extension tells; None for one of which nothing is taken."""
    if is_image(key):
        return "image"
    suffix = PurePosixPath(key).suffix.lower()
    return next((kind for kind in LISTED if kind == suffix), None)
