"""Writing a finished shard: its images, its rows, and then the record that makes them count."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from arm_batch.errors import StoreError
from arm_batch.runstate.commit import Commit, Part, create_commit, read_commit
from arm_batch.runstate.rows import SCHEMA, ImageRecord, StoredImage, output_schema, to_table
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.runstate.sinks import SINKS, SinkKind
from arm_batch.runstate.staging import discard, publish, split_staged, staged_key, staging_folder
from arm_batch.spec import Sink
from arm_batch.storage.base import ObjectStore

DATA = "data/"
"""Folder of the output that holds the rows."""

_FAILED = "-failed.parquet"

_WRITERS = 16
"""Images written at once: over S3 each waits for the network."""

_GROUP_ROWS, _GROUP_BYTES = 100, 256 << 20
"""Limits of a row group: what a reader of one image has to fetch, and what an Arrow array can hold."""


def write_shard(
    store: ObjectStore,
    shard: ShardId,
    records: Sequence[ImageRecord],
    sink: Sink,
    attempt: str,
    origin: ShardId | None = None,
    passthrough: pa.Table | None = None,
    left: Mapping[str, ShardId] | None = None,
    revision: int = 0,
) -> Commit:
    """Write a shard's rows and commit them, unless another attempt did so before; then that one counts.

    May be repeated, also after it was broken off anywhere.

    Args:
        store: the output.
        shard: which.
        records: its rows, with the encoded images in them.
        sink: ``parquet`` keeps images in the rows, ``files`` as files under `IMAGES`, ``webdataset`` in a tar file
            under `TARS`. A row that names a staged image keeps it as a file whatever the sink.
        attempt: letters, digits, ``-`` and ``_``; never used before for this shard.
        origin: the shard whose failed rows these replace.
        passthrough: the input's columns of each row; None where it has none.
        left: paths of images whose rows are another shard's, and are left out here; and which.
        revision: of the allocation that they were done by.

    Returns:
        The commit record that counts: this attempt's or the winner's.

    Raises:
        StoreError: the store cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", attempt):
        raise StoreError(f"not an attempt id: {attempt!r}")
    winner = read_commit(store, shard)
    if winner is None:
        kind = SINKS[sink]
        if kind.place is not None:
            records = _stage(store, staging_folder(shard, attempt), records, kind.place)
        ours = _write_parts(store, shard, records, kind, attempt, origin, passthrough, left or {}, revision)
        winner = create_commit(store, ours)
        if winner != ours:
            for key in ours.files():
                store.delete(key)
    publish(store, winner)
    discard(store, {folder for _, folder in _placed(records) if folder} - set(winner.staged))
    return winner


def _write_parts(
    store: ObjectStore,
    shard: ShardId,
    records: Sequence[ImageRecord],
    kind: SinkKind,
    attempt: str,
    origin: ShardId | None,
    passthrough: pa.Table | None,
    left: Mapping[str, ShardId],
    revision: int,
) -> Commit:
    """Write the rows, and the file of their images if there is one; returns the record that makes them count."""
    name = f"part-{staging_folder(shard, attempt)}"
    placed = _placed(records)
    flops, subnet_tiles = _totals([record for record, _ in placed])
    rows, passthrough = _without([record for record, _ in placed], passthrough, left)
    done, failed = ([r for r in rows if r.status == status] for status in ("ok", "failed"))
    done_passthrough, failed_passthrough = (_of_status(rows, passthrough, status) for status in ("ok", "failed"))
    tar = None
    if kind.bundle_key is not None and done:
        key = kind.bundle_key(name)
        data, done = kind.pack(key, done, done_passthrough)
        tar = _write(store, key, len(done), data)
    return Commit(
        shard=shard,
        attempt=attempt,
        done=_write_rows(store, f"{DATA}{name}.parquet", done, done_passthrough),
        failed=_write_rows(store, f"{DATA}{name}{_FAILED}", failed, failed_passthrough),
        flops=flops,
        subnet_tiles=subnet_tiles,
        origin=origin,
        tar=tar,
        staged=_folders(placed),
        left=tuple(sorted(set(left.values()))),
        revision=revision,
    )


def keys_of_done(store: ObjectStore, shard: ShardId) -> list[str]:
    """Files of upscaled rows that any attempt at a shard has written, committed or not."""
    keys = (info.key for info in store.list(f"{DATA}part-{staging_folder(shard, '')}"))
    return [key for key in keys if not key.endswith(_FAILED)]


def _stage(
    store: ObjectStore, folder: str, records: Sequence[ImageRecord], place: Callable[[ImageRecord], str]
) -> list[ImageRecord]:
    """Write the images of rows as files, where they wait for the commit; the rows tell where."""

    def stage(record: ImageRecord) -> ImageRecord:
        image = record.image
        if image is None or image.bytes is None:
            return record
        key = staged_key(folder, place(record))
        store.write(key, image.bytes)
        if record.sidecar is not None and record.sidecar.bytes is not None:
            store.write(staged_key(folder, record.sidecar.path), record.sidecar.bytes)
        return replace(record, image=StoredImage(None, key), sidecar=None)

    with ThreadPoolExecutor(_WRITERS) as writers:
        return list(writers.map(stage, records))


def _placed(records: Sequence[ImageRecord]) -> list[tuple[ImageRecord, str]]:
    """The rows as they are once staged images are at their places, and the folder that each comes from, if any."""
    placed = []
    for record in records:
        staged = (
            None if record.image is None or record.image.bytes is not None else split_staged(record.image.path)
        )
        if staged is None:
            placed.append((record, ""))
        else:
            placed.append((replace(record, image=StoredImage(None, staged[1])), staged[0]))
    return placed


def _folders(placed: Sequence[tuple[ImageRecord, str]]) -> tuple[str, ...]:
    """Where staged images come from."""
    return tuple(sorted({folder for _, folder in placed if folder}))


def _without(
    rows: Sequence[ImageRecord], passthrough: pa.Table | None, left: Mapping[str, ShardId]
) -> tuple[list[ImageRecord], pa.Table | None]:
    """The rows that are not another shard's, and the input's columns of these."""
    own = [row.path not in left for row in rows]
    kept = [row for row, is_own in zip(rows, own, strict=True) if is_own]
    return kept, None if passthrough is None else passthrough.filter(pa.array(own, pa.bool_()))


def _of_status(records: Sequence[ImageRecord], passthrough: pa.Table | None, status: str) -> pa.Table | None:
    return (
        None
        if passthrough is None
        else passthrough.filter(pa.array([record.status == status for record in records]))
    )


def _write_rows(
    store: ObjectStore, key: str, records: Sequence[ImageRecord], passthrough: pa.Table | None
) -> Part | None:
    return _write(store, key, len(records), _parquet(records, passthrough)) if records else None


def _write(store: ObjectStore, key: str, rows: int, data: bytes) -> Part:
    store.write(key, data)
    return Part(key, rows, len(data), hashlib.sha256(data).hexdigest())


def _totals(records: Sequence[ImageRecord]) -> tuple[int, tuple[int, ...]]:
    """FLOPs, and tiles per subnet."""
    per_image = [record.subnet_tiles for record in records]
    return sum(record.flops for record in records), tuple(map(sum, zip(*per_image, strict=True)))


def _parquet(records: Sequence[ImageRecord], passthrough: pa.Table | None) -> bytes:
    buffer = io.BytesIO()
    schema = output_schema(None if passthrough is None else passthrough.schema)
    lists = [field.name for field in SCHEMA if pa.types.is_list(field.type)]
    plain = [field.name for field in SCHEMA if field.name not in ("image", *lists)]
    plain += [] if passthrough is None else _leaves(passthrough.schema)
    # Images are compressed as they are, and statistics or dictionaries of them would only cost.
    compression = {"image.bytes": "none", "image.path": "zstd"}
    compression |= dict.fromkeys([*plain, *(f"{name}.list.element" for name in lists)], "zstd")
    with pq.ParquetWriter(
        buffer, schema, compression=compression, use_dictionary=plain, write_statistics=plain
    ) as writer:
        start = 0
        for group in _groups(records):
            added = None if passthrough is None else passthrough.slice(start, len(group))
            writer.write_table(to_table(group, added))
            start += len(group)
    return buffer.getvalue()


def _leaves(schema: pa.Schema) -> list[str]:
    """What Parquet calls the columns of a schema, of which a nested one has several."""
    buffer = io.BytesIO()
    pq.write_table(schema.empty_table(), buffer)
    file = pq.ParquetFile(pa.BufferReader(buffer.getvalue()))
    return [file.schema.column(position).path for position in range(len(file.schema))]


def _groups(records: Sequence[ImageRecord]) -> Iterator[list[ImageRecord]]:
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
