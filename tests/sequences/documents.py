"""The documents of an output as they lie there, read with no help of the package."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.sequences.remember import remembered

Read = Callable[[str], bytes | None]
"""The bytes of a key; None where there is nothing."""


@dataclass(frozen=True)
class Record:
    """A commit record, as far as it names files."""

    key: str
    shard: str
    generation: int
    done: str | None
    failed: str | None
    tar: str | None
    origin: str | None
    staged: tuple[str, ...]
    revision: int


class Documents:
    """What an output says of itself.

    Args:
        read: from it.
        keys: that it has.
    """

    def __init__(self, read: Read, keys: list[str]) -> None:
        self._read = read
        self._keys = keys
        self.generations = list(self._numbered(lambda n: f"plan/g{n:04d}/generation.json"))
        self.records = [self._record(key) for key in keys if key.startswith("commits/")]

    @property
    def budgets(self) -> list[str]:
        """Of the generations."""
        return [generation["settings"]["budget"] for generation in self.generations]

    def revisions(self, number: int) -> list[dict[str, Any]]:
        """The allocations of a generation."""
        return list(self._numbered(lambda n: allocation_key(number, n)))

    def listing(self, number: int) -> list[dict[str, Any]]:
        """The entries of a generation."""
        return self._rows(self.generations[number]["listing"], ["path", "etag", "copy_of"])

    @property
    def complete(self) -> bool:
        """Whether all shards of all generations are committed."""
        shards = {f"g{g['number']:04d}/{n:06d}" for g in self.generations for n in range(g["shards"])}
        return bool(shards) and shards <= {record.shard for record in self.records}

    def visible(self, record: Record) -> list[str]:
        """The parts of a record that make up the output."""
        replaced = record.shard in {other.origin for other in self.records}
        return [part for part in (record.done, None if replaced else record.failed) if part is not None]

    def record_of(self, row: dict[str, Any]) -> Record | None:
        """The record that makes a row count, unless it is damaged; rows have the name of their file."""
        key = "data/" + row["__filename"].rpartition("/data/")[2]
        return next((record for record in self.records if key in (record.done, record.failed)), None)

    def images(self, record: Record) -> list[str]:
        """The files of images that the rows of a record name."""
        rows = [row for part in self.visible(record) for row in self._rows(part, ["image"])]
        paths = [row["image"]["path"] for row in rows if row["image"] is not None]
        return [self.place(record, path) for path in paths if path.startswith("images/")]

    def place(self, record: Record | None, path: str) -> str:
        """Where an image file is: a kill may have kept it from its place, or have left it there once more."""
        folders = () if record is None else record.staged
        staged = (f"staging/{folder}/{path.removeprefix('images/')}" for folder in folders)
        return next((key for key in staged if key in self._keys and self._read(key) != self._read(path)), path)

    def paths(self, record: Record) -> list[str]:
        """The inputs of a record."""
        return [row["path"] for part in self.visible(record) for row in self._rows(part, ["path"])]

    def sidecar(self, key: str) -> frozenset[str]:
        """The inputs of the shard that a file belongs to."""
        found: set[str] = set()
        for record in self.records:
            own = {record.key, f"plan/{record.shard.replace('/', '/shards/')}.parquet", record.tar}
            if key in own or key in self.visible(record) or key in self.images(record):
                found.update(self.paths(record))
        return frozenset(found)

    def last_revision(self, number: int) -> str:
        """The file of the last allocation of a generation."""
        return allocation_key(number, max(0, len(self.revisions(number)) - 1))

    def begun(self, number: int) -> bool:
        """Whether a shard of a generation has been done by its last allocation."""
        last = max(0, len(self.revisions(number)) - 1)
        return any(record.generation == number and record.revision >= last for record in self.records)

    def is_unused(self, key: str) -> bool:
        """Whether it is the last allocation of a generation, by which nothing has been done yet."""
        numbers = (generation["number"] for generation in self.generations)
        return any(key == self.last_revision(number) and not self.begun(number) for number in numbers)

    def needed(self) -> Iterator[str]:
        """The files without which, as they are, what the output says is not so."""
        for generation in self.generations:
            number = generation["number"]
            yield f"plan/g{number:04d}/generation.json"
            yield generation["listing"]
            revisions = self.revisions(number)
            for revision, document in enumerate(revisions):
                yield allocation_key(number, revision)
                yield document["tables"]
            plans = (f"plan/g{number:04d}/shards/{n:06d}.parquet" for n in range(generation["shards"]))
            # Before the allocation it may simply not be planned yet.
            yield from (key for key in plans if revisions or key in self._keys)
        for record in self.records:
            yield record.key
            yield from self.visible(record)
            yield from self.images(record)
            if record.tar is not None:
                yield record.tar
        if self.complete and "manifest.json" in self._keys:
            yield "manifest.json"

    def _record(self, key: str) -> Record:
        document = _json(self._read(key) or b"")
        done, failed, tar = [
            None if document[kind] is None else document[kind]["key"] for kind in ("done", "failed", "tar")
        ]
        shard = document["shard"]
        origin, staged = document["origin"], tuple(document["staged"])
        return Record(key, shard, int(shard[1:5]), done, failed, tar, origin, staged, document["epoch"])

    def _numbered(self, key: Callable[[int], str]) -> Iterator[dict[str, Any]]:
        for number in itertools.count():
            data = self._read(key(number))
            if data is None:
                return
            yield _json(data)

    def _rows(self, key: str, columns: list[str]) -> list[dict[str, Any]]:
        data = self._read(key)
        if data is None:
            # The oracle's own reading of the rows tells of that.
            return []
        return _rows(data, tuple(columns))


@remembered
def _json(data: bytes) -> Any:
    return json.loads(data)


@remembered
def _rows(data: bytes, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(data), columns=list(columns)).to_pylist()
    return rows


def same(key: str, before: bytes, after: bytes | None) -> bool:
    """Whether a file says the same after its bytes have changed: formats have bytes that mean nothing."""
    if after is None or after == before:
        return after == before
    try:
        if key.endswith(".json"):
            return bool(json.loads(before) == json.loads(after))
        if key.startswith("plan/") and key.endswith(".parquet"):
            tables = [pq.read_table(pa.BufferReader(d), page_checksum_verification=True) for d in (before, after)]
            return bool(tables[0].equals(tables[1]))
        if key.endswith(".npz"):
            first, second = (np.load(io.BytesIO(data)) for data in (before, after))
            return all(np.array_equal(first[name], second[name]) for name in {*first, *second})
    except Exception:
        # Damaged bytes make zipfile, zlib and numpy raise almost anything, a TokenError of Python's own among it.
        return False
    return False


def allocation_key(generation: int, revision: int) -> str:
    """Where an allocation lies."""
    return f"plan/g{generation:04d}/{f'epoch-{revision:04d}' if revision else 'allocation'}.json"


def image_of(documents: Documents, read: Read, row: dict[str, Any]) -> bytes | None:
    """The image of a row, from wherever the row says; None where it is not there."""
    image = row["image"]
    if image is None or image["bytes"] is not None:
        return None if image is None else image["bytes"]
    tar, slash, member = image["path"].rpartition(".tar/")
    if not slash:
        return read(documents.place(documents.record_of(row), image["path"]))
    data = read(f"{tar}.tar")
    return None if data is None else _member(data, member)


@remembered
def _member(data: bytes, name: str) -> bytes | None:
    """A file in a tar."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as file:
            found = file.extractfile(name) if name in file.getnames() else None
            return None if found is None else found.read()
    except tarfile.TarError:
        return None
