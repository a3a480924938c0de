from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arm_batch.errors import StoreError
from arm_batch.store import sinks
from arm_batch.store.local import LocalStore
from arm_batch.store.objects import ObjectStore
from arm_batch.store.records import SCHEMA, ImageRecord, StoredImage, from_table, image_id
from arm_batch.store.sinks import Commit, Sink, committed, read_commit, write_part
from tests.store.test_records import FAILED, OK


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


def rows(store: ObjectStore, part: str) -> list[ImageRecord]:
    return from_table(pq.read_table(pa.BufferReader(store.read(part))))


def keys(store: ObjectStore, prefix: str) -> list[str]:
    return [info.key for info in store.list(prefix)]


def test_parquet_holds_rows_and_images(store: ObjectStore) -> None:
    commit = write_part(store, 7, ROWS, "parquet", "try-1")
    assert commit == Commit(7, "data/part-000007-try-1.parquet", "try-1", 3, 1, 20, (2, 0, 4))
    assert rows(store, commit.part) == ROWS
    assert committed(store) == {7: commit}
    assert read_commit(store, 7) == commit
    assert read_commit(store, 8) is None
    assert keys(store, "") == ["commits/000007.json", commit.part]
    assert list(json.loads(store.read("commits/000007.json"))) == [
        *("shard", "part", "attempt", "rows", "failed", "flops", "subnet_tiles")
    ]


def test_files_hold_images_and_rows_their_paths(store: ObjectStore) -> None:
    commit = write_part(store, 0, ROWS, "files", "x")
    assert keys(store, "images/") == ["images/a/1.png", "images/b 2.png"]
    assert store.read("images/b 2.png") == b"two"
    first, failed, last = rows(store, commit.part)
    assert failed == ROWS[1]
    for row, original in ((first, ROWS[0]), (last, ROWS[2])):
        assert row == replace(original, image=StoredImage(None, f"images/{original.path}"))


@pytest.mark.parametrize("sink", ["parquet", "files"])
def test_the_first_attempt_counts(store: ObjectStore, sink: Sink) -> None:
    first = write_part(store, 1, ROWS, sink, "first")
    assert write_part(store, 1, ROWS[:1], sink, "second") == first
    assert write_part(store, 1, ROWS, sink, "first") == first
    assert keys(store, "data/") == [first.part]
    assert committed(store) == {1: first}


def test_attempts_at_once_leave_one_part(store: ObjectStore) -> None:
    barrier = Barrier(6)

    def attempt(number: int) -> Commit:
        barrier.wait()
        return write_part(store, 3, ROWS, "parquet", f"attempt-{number}")

    with ThreadPoolExecutor(6) as threads:
        commits = set(threads.map(attempt, range(6)))
    (commit,) = commits
    assert keys(store, "data/") == [commit.part]
    assert committed(store) == {3: commit}
    assert rows(store, commit.part) == ROWS


def test_the_loser_removes_its_own_part(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    winner = write_part(store, 2, ROWS, "parquet", "winner")
    answers = iter([None, winner])
    # The other attempt commits between the loser's look and its own commit.
    monkeypatch.setattr(sinks, "read_commit", lambda _store, _shard: next(answers))
    assert write_part(store, 2, ROWS, "parquet", "loser") == winner
    assert keys(store, "data/") == [winner.part]


def test_broken_off_attempts_do_not_count(store: ObjectStore) -> None:
    store.write("data/part-000000-killed.parquet", b"half")
    assert committed(store) == {}
    commit = write_part(store, 0, ROWS, "parquet", "again")
    assert committed(store) == {0: commit}


@pytest.mark.parametrize("path", ["../evil.png", "/etc/evil.png", "a/../../evil.png", ""])
def test_no_image_leaves_the_output(store: ObjectStore, path: str) -> None:
    evil = replace(OK, image=StoredImage(b"x", path))
    with pytest.raises(StoreError, match="not a key"):
        write_part(store, 0, [evil], "files", "x")
    assert keys(store, "") == []


@pytest.mark.parametrize("attempt", ["", "a/b", "..", "a b", "ä", "x" * 101])
def test_attempt_ids(store: ObjectStore, attempt: str) -> None:
    with pytest.raises(StoreError, match="not an attempt id"):
        write_part(store, 0, ROWS, "parquet", attempt)


def test_a_broken_commit_record_is_named(store: ObjectStore) -> None:
    for content in (b"", b"[]", b"{}", b'{"subnet_tiles": []}', b'{"subnet_tiles": 1}'):
        store.write("commits/000000.json", content)
        with pytest.raises(StoreError, match=r"commits/000000\.json is not a commit record"):
            committed(store)


def test_row_groups_are_small(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "_GROUP_BYTES", 1000)
    many = [record(f"{n:03d}.png", b"x" * size) for n, size in enumerate([400] * 5 + [5000] + [1] * 220)]
    commit = write_part(store, 0, many, "parquet", "x")
    file = pq.ParquetFile(pa.BufferReader(store.read(commit.part)))
    groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert groups == [2, 2, 1, 1, 100, 100, 20]
    assert file.schema_arrow.equals(SCHEMA, check_metadata=True)
    assert rows(store, commit.part) == many


def test_an_empty_shard_and_one_of_failures(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    assert rows(store, write_part(store, 0, [], "parquet", "x").part) == []
    commit = write_part(store, 1, [FAILED] * 2, "files", "x")
    assert (commit.rows, commit.failed) == (2, 2)
