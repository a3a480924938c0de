from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arm_batch.errors import StoreError
from arm_batch.runstate import shard_writer
from arm_batch.runstate.commit import Commit, committed
from arm_batch.runstate.rows import SCHEMA, ImageRecord, StoredImage, from_table, image_id
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.runstate.shard_writer import write_shard
from arm_batch.runstate.staging import publish_waiting, staged_key, staged_of, staging_folder
from arm_batch.spec import Sink
from arm_batch.storage.base import ObjectStore
from tests.runstate.test_rows import FAILED, OK


def record(path: str, data: bytes) -> ImageRecord:
    return replace(
        OK,
        id=image_id(path),
        path=path,
        image=StoredImage(data, path),
        sha256=hashlib.sha256(data).hexdigest(),
        flops=10,
    )


ROWS = [record("a/1.png", b"one"), replace(FAILED, flops=0, subnet_tiles=(0, 0, 0)), record("b 2.png", b"two")]


def shard(index: int) -> ShardId:
    return ShardId(0, index)


def rows(store: ObjectStore, commit: Commit) -> list[ImageRecord]:
    """Rows of a commit, those that are done first."""
    parts = [part for part in (commit.done, commit.failed) if part is not None]
    return [row for part in parts for row in from_table(pq.read_table(pa.BufferReader(store.read(part.key))))]


def keys(store: ObjectStore, prefix: str) -> list[str]:
    return [info.key for info in store.list(prefix)]


def test_parquet_holds_rows_and_images(store: ObjectStore) -> None:
    commit = write_shard(store, shard(7), ROWS, "parquet", "try-1")
    assert commit.done is not None
    assert commit.failed is not None
    assert (commit.done.key, commit.done.rows) == ("data/part-g0000-000007-try-1.parquet", 2)
    assert (commit.failed.key, commit.failed.rows) == ("data/part-g0000-000007-try-1-failed.parquet", 1)
    assert (commit.rows, commit.failures, commit.flops, commit.subnet_tiles) == (3, 1, 20, (2, 0, 4))
    data = store.read(commit.done.key)
    assert (commit.done.size, commit.done.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert rows(store, commit) == [ROWS[0], ROWS[2], ROWS[1]]
    assert committed(store) == {shard(7): commit}
    assert keys(store, "") == ["commits/g0000/000007.json", *sorted([commit.done.key, commit.failed.key])]


def test_files_hold_images_and_rows_their_paths(store: ObjectStore) -> None:
    commit = write_shard(store, shard(0), ROWS, "files", "x")
    assert keys(store, "images/") == ["images/a/1.png", "images/b 2.png"]
    assert store.read("images/b 2.png") == b"two"
    first, last, failed = rows(store, commit)
    assert failed == ROWS[1]
    for row, original in ((first, ROWS[0]), (last, ROWS[2])):
        assert row == replace(original, image=StoredImage(None, f"images/{original.path}"))


def test_what_lies_there_already_does_not_count(store: ObjectStore) -> None:
    store.write("images/a/1.png", b"of who knows what")
    store.write("staging/g0000-000000-killed/a/1.png", b"of an attempt that was killed")
    (row, *_) = rows(store, write_shard(store, shard(0), ROWS, "files", "x"))
    assert store.read("images/a/1.png") == b"one"
    assert row == replace(ROWS[0], image=StoredImage(None, "images/a/1.png"))
    assert keys(store, "staging/") == ["staging/g0000-000000-killed/a/1.png"]


def test_a_commit_whose_images_were_not_moved_is_made_good(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("images/a/1.png", b"of another allocation")
    monkeypatch.setattr(shard_writer, "publish", lambda _store, _commit: None)
    commit = write_shard(store, shard(0), ROWS, "files", "x")
    monkeypatch.undo()
    waiting = {
        "images/a/1.png": "staging/g0000-000000-x/a/1.png",
        "images/b 2.png": "staging/g0000-000000-x/b 2.png",
    }
    assert staged_of(store, [commit]) == waiting
    store.write("staging/g0000-000001-y/c.png", b"of a shard that is not committed")
    store.write("staging/g0000-000000-y/c.png", b"of an attempt that came too late")
    left = publish_waiting(store)
    assert left == ["staging/g0000-000000-y/c.png", "staging/g0000-000001-y/c.png"]
    assert {key: store.read(key) for key in keys(store, "images/")} == {
        "images/a/1.png": b"one",
        "images/b 2.png": b"two",
    }


def test_a_staged_image_becomes_a_file_whatever_the_sink(store: ObjectStore) -> None:
    key = staged_key(staging_folder(shard(0), "big"), "big.tif")
    store.write(key, b"big")
    staged = replace(ROWS[0], image=StoredImage(None, key))
    commit = write_shard(store, shard(0), [staged, ROWS[2]], "parquet", "x")
    assert commit.staged == ("g0000-000000-big",)
    assert [row.image for row in rows(store, commit)] == [StoredImage(None, "images/big.tif"), ROWS[2].image]
    assert (store.read("images/big.tif"), keys(store, "staging/")) == (b"big", [])
    # The same task, run once more: what the record names stays.
    assert write_shard(store, shard(0), [staged, ROWS[2]], "parquet", "y") == commit
    assert store.read("images/big.tif") == b"big"


@pytest.mark.parametrize("sink", ["parquet", "files", "webdataset"])
def test_the_first_attempt_counts(store: ObjectStore, sink: Sink) -> None:
    first = write_shard(store, shard(1), ROWS, sink, "first")
    assert write_shard(store, shard(1), ROWS[:1], sink, "second") == first
    assert write_shard(store, shard(1), ROWS, sink, "first") == first
    assert len(keys(store, "data/")) == 2
    assert committed(store) == {shard(1): first}


def test_attempts_at_once_leave_one_part(store: ObjectStore) -> None:
    barrier = Barrier(6)

    def attempt(number: int) -> Commit:
        barrier.wait()
        return write_shard(store, shard(3), ROWS[:1], "parquet", f"attempt-{number}")

    with ThreadPoolExecutor(6) as threads:
        commits = set(threads.map(attempt, range(6)))
    (commit,) = commits
    assert commit.done is not None
    assert keys(store, "data/") == [commit.done.key]
    assert committed(store) == {shard(3): commit}
    assert rows(store, commit) == ROWS[:1]


def test_the_loser_removes_its_own_parts(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    winner = write_shard(store, shard(2), ROWS, "parquet", "winner")
    # The other attempt commits between the loser's look and its own commit.
    monkeypatch.setattr(shard_writer, "read_commit", lambda _store, _shard: None)
    assert write_shard(store, shard(2), ROWS, "parquet", "loser") == winner
    assert not [key for key in keys(store, "data/") if "loser" in key]


def test_the_loser_removes_its_own_images(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    winner = write_shard(store, shard(2), [record("a/1.png", b"of the winner")], "files", "winner")
    monkeypatch.setattr(shard_writer, "read_commit", lambda _store, _shard: None)
    assert write_shard(store, shard(2), ROWS, "files", "loser") == winner
    assert keys(store, "staging/") == []
    assert (keys(store, "images/"), store.read("images/a/1.png")) == (["images/a/1.png"], b"of the winner")


def test_broken_off_attempts_do_not_count(store: ObjectStore) -> None:
    store.write("data/part-g0000-000000-killed.parquet", b"half")
    assert committed(store) == {}
    commit = write_shard(store, shard(0), ROWS, "parquet", "again")
    assert committed(store) == {shard(0): commit}


@pytest.mark.parametrize("path", ["../evil.png", "/etc/evil.png", "a/../../evil.png", ""])
def test_no_image_leaves_the_output(store: ObjectStore, path: str) -> None:
    evil = replace(OK, image=StoredImage(b"x", path))
    with pytest.raises(StoreError, match="not a key"):
        write_shard(store, shard(0), [evil], "files", "x")
    assert keys(store, "") == []


@pytest.mark.parametrize("attempt", ["", "a/b", "..", "a b", "ä", "x" * 101])
def test_attempt_ids(store: ObjectStore, attempt: str) -> None:
    with pytest.raises(StoreError, match="not an attempt id"):
        write_shard(store, shard(0), ROWS, "parquet", attempt)


def test_row_groups_are_small(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_writer, "_GROUP_BYTES", 1000)
    many = [record(f"{n:03d}.png", b"x" * size) for n, size in enumerate([400] * 5 + [5000] + [1] * 220)]
    commit = write_shard(store, shard(0), many, "parquet", "x")
    assert commit.done is not None
    file = pq.ParquetFile(pa.BufferReader(store.read(commit.done.key)))
    groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert groups == [2, 2, 1, 1, 100, 100, 20]
    assert file.schema_arrow.equals(SCHEMA, check_metadata=True)
    assert rows(store, commit) == many


def test_a_shard_of_failures_alone(store: ObjectStore) -> None:
    commit = write_shard(store, shard(1), [FAILED] * 2, "files", "x", origin=shard(0))
    assert (commit.done, commit.rows, commit.failures, commit.origin) == (None, 2, 2, shard(0))
