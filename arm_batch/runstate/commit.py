"""Commit records: which parts count. A shard is done when its record exists, and there is only ever one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, ClassVar

import msgspec

from arm_batch.core.json_records import Count, Index, Key, Name, Positive, Record, Sha256, encode_record
from arm_batch.errors import StoreError
from arm_batch.runstate.damage import REPAIR
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.storage.base import ObjectStore, is_safe_key
from arm_batch.storage.json_documents import read_record

COMMITS = "commits/"

_Shard = Annotated[str, msgspec.Meta(pattern=r"^g\d{4,9}/\d{6,9}\Z")]

_READERS = 16
"""Records read at once: over S3 each waits for the network."""


class Part(Record, frozen=True):
    """A file with rows: Parquet, or a tar of their images.

    Attributes:
        key: of the file.
        rows: in it.
        size: bytes.
        sha256: hex, of the file.
    """

    key: Key
    rows: Positive
    size: Count
    sha256: Sha256


@dataclass(frozen=True)
class Commit:
    """The commit record of a shard.

    Attributes:
        shard: which.
        attempt: the attempt that wrote it.
        done: rows with the status ``ok``; None where there is none.
        failed: rows with the status ``failed``; None where there is none. A file of their own, so that they can be
            left out once these images are tried again.
        flops: executed for all rows.
        subnet_tiles: tiles per subnet of the ladder, cheapest first.
        origin: the shard whose failed rows these rows replace; None outside of retries.
        tar: the images of `done`, where they are neither in the rows nor files of their own.
        staged: folders under `staging/` whose images belong under `images/`, see `runstate.staging`.
        left: retries of this shard that had been made before: it was done again without their images, so they do
            not replace failed rows of its own.
        revision: of the allocation that the shard was done by, which has to be there as long as this record is;
            None where an earlier version did not write it down.
    """

    shard: ShardId
    attempt: str
    done: Part | None
    failed: Part | None
    flops: int
    subnet_tiles: tuple[int, ...]
    origin: ShardId | None = None
    tar: Part | None = None
    staged: tuple[str, ...] = ()
    left: tuple[ShardId, ...] = ()
    revision: int | None = None

    def files(self) -> list[str]:
        """Keys of what the attempt wrote for this record alone."""
        return [part.key for part in (self.done, self.failed, self.tar) if part is not None]

    @property
    def rows(self) -> int:
        """Rows in all."""
        return sum(part.rows for part in (self.done, self.failed) if part is not None)

    @property
    def failures(self) -> int:
        """Rows with the status ``failed``."""
        return 0 if self.failed is None else self.failed.rows


class _Written(Record, frozen=True):
    """A `Commit` as it lies in the store."""

    what: ClassVar[str] = "a commit record"
    remedy: ClassVar[str] = REPAIR
    format: ClassVar[int] = 1

    shard: _Shard
    attempt: Name
    done: Part | None
    failed: Part | None
    flops: Count
    subnet_tiles: tuple[Count, ...]
    origin: _Shard | None
    tar: Part | None
    staged: tuple[Name, ...] = ()
    left: tuple[_Shard, ...] = ()
    revision: Index | None = msgspec.field(name="epoch", default=None)

    def check(self) -> None:
        """See `Record`."""
        own = f"/part-{self.shard.replace('/', '-')}-"
        for name in ("done", "failed", "tar"):
            _check_part(name, getattr(self, name), own)
        if not all(f"/part-{folder}".startswith(own) for folder in self.staged):
            raise ValueError("at `$.staged`: expected folders of the same shard")
        if self.origin is not None and ShardId.parse(self.origin) >= ShardId.parse(self.shard):
            raise ValueError("at `$.origin`: expected an earlier shard")
        if any(ShardId.parse(retry) <= ShardId.parse(self.shard) for retry in self.left):
            raise ValueError("at `$.left`: expected later shards")


def _check_part(name: str, part: Part | None, own: str) -> None:
    if part is not None and (own not in part.key or not is_safe_key(part.key)):
        raise ValueError(f"at `$.{name}.key`: expected a file of the same shard")


def commit_key(shard: ShardId) -> str:
    """Where the record of a shard lies."""
    return f"{COMMITS}{shard}.json"


def create_commit(store: ObjectStore, commit: Commit) -> Commit:
    """Commit a shard, unless that has been done; returns the record that counts.

    Raises:
        StoreError: the store cannot be written.
    """
    origin = None if commit.origin is None else str(commit.origin)
    values = {field.name: getattr(commit, field.name) for field in dataclasses.fields(commit)}
    left = tuple(map(str, commit.left))
    written = _Written(**values | {"shard": str(commit.shard), "origin": origin, "left": left})
    if store.create(commit_key(commit.shard), encode_record(written)):
        return commit
    winner = read_commit(store, commit.shard)
    if winner is None:
        raise StoreError(
            f"{store.url}/{commit_key(commit.shard)} was there and is gone: is something else deleting files?"
        )
    return winner


def read_commit(store: ObjectStore, shard: ShardId) -> Commit | None:
    """The record of a shard, None when it is still to do."""
    key = commit_key(shard)
    written = read_record(store, key, _Written)
    if written is None:
        return None
    if written.shard != str(shard):
        raise StoreError(f"{store.url}/{key} is the record of {written.shard}; {REPAIR}")
    origin = None if written.origin is None else ShardId.parse(written.origin)
    values = {name: getattr(written, name) for name in written.__struct_fields__}
    left = tuple(map(ShardId.parse, written.left))
    return Commit(**values | {"shard": shard, "origin": origin, "left": left})


class CommitLog:
    """The commit records of a run as one process knows them. A record never changes, so each is read once at most.

    Args:
        store: the output.
        generation: number of the only one to look at; None for all.
    """

    def __init__(self, store: ObjectStore, generation: int | None = None) -> None:
        self._store = store
        self._generation = generation
        self._known: dict[ShardId, Commit] = {}

    def note(self, commit: Commit) -> None:
        """Take up the record that counts for a shard, from whoever has written or read it."""
        self._known[commit.shard] = commit

    def refresh(self) -> dict[ShardId, Commit]:
        """All records by shard, in order: one listing, and a request for each that is not known yet.

        Raises:
            StoreError: the store cannot be read, or something else is among the records.
        """
        there = sorted(listed(self._store, self._generation))
        unknown = [shard for shard in there if shard not in self._known]
        with ThreadPoolExecutor(_READERS) as readers:
            read = dict(
                zip(unknown, readers.map(lambda shard: read_commit(self._store, shard), unknown), strict=True)
            )
        found = ((shard, self._known.get(shard) or read[shard]) for shard in there)
        # A record may be taken back, to be made again: what is no longer there does not count.
        self._known = {shard: commit for shard, commit in found if commit is not None}
        return dict(self._known)


def committed(store: ObjectStore) -> dict[ShardId, Commit]:
    """All records by shard, in order, read once for all; see `CommitLog`.

    Raises:
        StoreError: the store cannot be read, or something else is among the records.
    """
    return CommitLog(store).refresh()


def listed(store: ObjectStore, generation: int | None = None) -> set[ShardId]:
    """The shards that have a record, without reading any; `StoreError` where something else is among them.

    Args:
        store: the output.
        generation: number of the only one to look at; None for all.
    """
    prefix = COMMITS if generation is None else f"{COMMITS}g{generation:04d}/"
    shards = set()
    for info in store.list(prefix):
        try:
            shards.add(ShardId.parse(info.key.removeprefix(COMMITS).removesuffix(".json")))
        except ValueError:
            raise StoreError(f"{store.url}/{info.key} is not a commit record") from None
    return shards


def replaced_shards(commits: Iterable[Commit]) -> set[ShardId]:
    """The shards whose failed rows a retry has replaced."""
    by_shard = {commit.shard: commit for commit in commits}
    retries = (commit for commit in by_shard.values() if commit.origin in by_shard)
    return {retry.origin for retry in retries if retry.origin and retry.shard not in by_shard[retry.origin].left}


def visible_parts(commits: Iterable[Commit]) -> list[Part]:
    """The parts that make up the output: failed rows that a retry has replaced are left out."""
    commits = list(commits)
    replaced = replaced_shards(commits)
    parts = []
    for commit in commits:
        if commit.done is not None:
            parts.append(commit.done)
        if commit.failed is not None and commit.shard not in replaced:
            parts.append(commit.failed)
    return parts
