"""Commit records: which parts count. A shard is done when its record exists, and there is only ever one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from arm_batch.errors import StoreError
from arm_batch.store.objects import ObjectStore
from arm_batch.store.plan import ShardId

COMMITS = "commits/"

_READERS = 16
"""Records read at once: over S3 each waits for the network."""


@dataclass(frozen=True)
class Part:
    """A file with rows: Parquet, or a tar of their images.

    Attributes:
        key: of the file.
        rows: in it.
        size: bytes.
        sha256: hex, of the file.
    """

    key: str
    rows: int
    size: int
    sha256: str


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
        staged: folders under `staging/` whose images belong under `images/`, see `store.staging`.
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

    def to_json(self) -> bytes:
        """What is written to the store."""
        document = dataclasses.asdict(self)
        document["shard"] = str(self.shard)
        document["origin"] = None if self.origin is None else str(self.origin)
        return json.dumps(document).encode()

    @staticmethod
    def from_json(data: bytes, where: str) -> Commit:
        """Read what `to_json` wrote; `StoreError` naming `where` when it is something else."""
        try:
            document: dict[str, Any] = json.loads(data)
            return Commit(
                shard=ShardId.parse(document["shard"]),
                attempt=str(document["attempt"]),
                done=_part(document["done"]),
                failed=_part(document["failed"]),
                flops=int(document["flops"]),
                subnet_tiles=tuple(int(n) for n in document["subnet_tiles"]),
                origin=None if document["origin"] is None else ShardId.parse(document["origin"]),
                tar=_part(document["tar"]),
                staged=tuple(map(str, document.get("staged", ()))),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"{where} is not a commit record: {error}") from error


def commit_key(shard: ShardId) -> str:
    """Where the record of a shard lies."""
    return f"{COMMITS}{shard}.json"


def create_commit(store: ObjectStore, commit: Commit) -> Commit:
    """Commit a shard, unless that has been done; returns the record that counts.

    Raises:
        StoreError: the store cannot be written.
    """
    if store.create(commit_key(commit.shard), commit.to_json()):
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
    try:
        return Commit.from_json(store.read(key), f"{store.url}/{key}")
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise StoreError(str(error)) from error


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


def visible_parts(commits: Iterable[Commit]) -> list[Part]:
    """The parts that make up the output: failed rows that a retry has replaced are left out."""
    commits = list(commits)
    replaced = {commit.origin for commit in commits}
    parts = []
    for commit in commits:
        if commit.done is not None:
            parts.append(commit.done)
        if commit.failed is not None and commit.shard not in replaced:
            parts.append(commit.failed)
    return parts


def _part(document: dict[str, Any] | None) -> Part | None:
    if document is None:
        return None
    return Part(str(document["key"]), int(document["rows"]), int(document["size"]), str(document["sha256"]))
