"""Writing finished shards so that each is committed exactly once; see "Commit and resume" in the design."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import pyarrow.parquet as pq

from arm_batch.errors import StoreError
from arm_batch.store.objects import ObjectStore, checked_key
from arm_batch.store.records import SCHEMA, ImageRecord, StoredImage, to_table

Sink = Literal["parquet", "files"]

IMAGES = "images"
"""Folder of the output that the sink `files` writes images to."""

_GROUP_ROWS, _GROUP_BYTES = 100, 256 << 20
"""Limits of a row group: what a reader of one image has to fetch, and what an Arrow array can hold."""

_READERS = 16
"""Commit records read at once: over S3 each waits for the network."""


@dataclass(frozen=True)
class Commit:
    """The commit record of a shard.

    Attributes:
        shard: number of the shard.
        part: key of the Parquet file that holds its rows.
        attempt: the attempt that wrote it.
        rows: in all.
        failed: rows with the status ``failed``.
        flops: executed for all rows.
        subnet_tiles: tiles per subnet of the ladder, cheapest first.
    """

    shard: int
    part: str
    attempt: str
    rows: int
    failed: int
    flops: int
    subnet_tiles: tuple[int, ...]

    def to_json(self) -> bytes:
        """What is written to the store."""
        return json.dumps(dataclasses.asdict(self)).encode()

    @staticmethod
    def from_json(data: bytes, where: str) -> Commit:
        """Read what `to_json` wrote; `StoreError` naming `where` when it is something else."""
        try:
            document = json.loads(data)
            return Commit(**document | {"subnet_tiles": tuple(document["subnet_tiles"])})
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"{where} is not a commit record: {error}") from error


def write_part(store: ObjectStore, shard: int, records: list[ImageRecord], sink: Sink, attempt: str) -> Commit:
    """Write a shard's rows and commit them, unless another attempt did so before; then that one counts.

    May be repeated, also after it was broken off anywhere. With the sink `files` the images are written first,
    each under its own name: attempts overwrite each other's, with what should be the same bytes.

    Args:
        store: the output.
        shard: its number.
        records: its rows, with the encoded images in them.
        sink: ``parquet`` keeps images in the rows, ``files`` as files under `IMAGES`.
        attempt: letters, digits, ``-`` and ``_``; never used before for this shard.

    Returns:
        The commit record that counts: this attempt's or the winner's.

    Raises:
        StoreError: the store cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", attempt):
        raise StoreError(f"not an attempt id: {attempt!r}")
    winner = read_commit(store, shard)
    if winner is not None:
        return winner
    if sink == "files":
        records = [_write_image(store, record) for record in records]
    part = f"data/part-{shard:06d}-{attempt}.parquet"
    store.write(part, _parquet(records))
    commit = _commit(shard, part, attempt, records)
    if store.create(_commit_key(shard), commit.to_json()):
        return commit
    winner = read_commit(store, shard)
    if winner is None:
        raise StoreError(
            f"{store.url}/{_commit_key(shard)} was there and is gone: is something else deleting files?"
        )
    if winner.part != part:
        store.delete(part)
    return winner


def read_commit(store: ObjectStore, shard: int) -> Commit | None:
    """The commit record of a shard, None when it is still to do."""
    key = _commit_key(shard)
    try:
        return Commit.from_json(store.read(key), f"{store.url}/{key}")
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise StoreError(str(error)) from error


def committed(store: ObjectStore) -> dict[int, Commit]:
    """All commit records by shard, in order.

    Raises:
        StoreError: the store cannot be read, or something else is among the records.
    """
    try:
        keys = [info.key for info in store.list("commits/") if info.key.endswith(".json")]
        with ThreadPoolExecutor(_READERS) as readers:
            commits = readers.map(lambda key: Commit.from_json(store.read(key), f"{store.url}/{key}"), keys)
            return {commit.shard: commit for commit in commits}
    except (FileNotFoundError, PermissionError) as error:
        raise StoreError(str(error)) from error


def _commit_key(shard: int) -> str:
    return f"commits/{shard:06d}.json"


def _commit(shard: int, part: str, attempt: str, records: list[ImageRecord]) -> Commit:
    per_image = [record.subnet_tiles for record in records if record.subnet_tiles]
    return Commit(
        shard=shard,
        part=part,
        attempt=attempt,
        rows=len(records),
        failed=sum(record.status == "failed" for record in records),
        flops=sum(record.flops for record in records),
        subnet_tiles=tuple(map(sum, zip(*per_image, strict=True))),
    )


def _write_image(store: ObjectStore, record: ImageRecord) -> ImageRecord:
    image = record.image
    if image is None or image.bytes is None:
        return record
    path = f"{IMAGES}/{checked_key(image.path)}"
    store.write(path, image.bytes)
    return dataclasses.replace(record, image=StoredImage(None, path))


def _parquet(records: list[ImageRecord]) -> bytes:
    buffer = io.BytesIO()
    plain = [field.name for field in SCHEMA if field.name not in ("image", "subnet_tiles")]
    # Images are compressed as they are, and statistics or dictionaries of them would only cost.
    compression = {"image.bytes": "none", "image.path": "zstd", "subnet_tiles.list.element": "zstd"}
    compression |= dict.fromkeys(plain, "zstd")
    with pq.ParquetWriter(
        buffer, SCHEMA, compression=compression, use_dictionary=plain, write_statistics=plain
    ) as writer:
        for group in _groups(records):
            writer.write_table(to_table(group))
    return buffer.getvalue()


def _groups(records: list[ImageRecord]) -> Iterator[list[ImageRecord]]:
    group: list[ImageRecord] = []
    size = 0
    for record in records:
        added = len(record.image.bytes or b"") if record.image else 0
        if group and (len(group) == _GROUP_ROWS or size + added > _GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(record)
        size += added
    if group:
        yield group
