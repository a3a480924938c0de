from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from arm_batch.errors import StoreError
from arm_batch.runstate.commit import (
    Commit,
    CommitLog,
    Part,
    commit_key,
    committed,
    create_commit,
    listed,
    read_commit,
    visible_parts,
)
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.storage.base import ObjectStore
from tests.sealed import resealed
from tests.storage.counting import CountingStore


def part(shard: str, name: str, rows: int) -> Part:
    return Part(f"data/part-{shard}-{name}.parquet", rows, 1000 * rows, f"{rows:064x}")


DONE, FAILED = part("g0000-000003", "try", 5), part("g0000-000003", "try-failed", 2)
COMMIT = Commit(ShardId(0, 3), "try", DONE, FAILED, 12, (1, 2, 3))
RETRIED = part("g0001-000000", "other-failed", 2)


def like_it(shard: ShardId) -> Commit:
    """`COMMIT` of another shard."""
    return replace(COMMIT, shard=shard, done=part(str(shard).replace("/", "-"), "try", 5), failed=None)


def test_a_record_comes_back_as_it_went_in(store: ObjectStore) -> None:
    retry = Commit(ShardId(1, 0), "other", None, RETRIED, 0, (0, 0, 0), origin=ShardId(0, 3))
    for commit in (replace(COMMIT, left=(ShardId(1, 0),)), retry):
        assert create_commit(store, commit) == commit
        assert read_commit(store, commit.shard) == commit
    assert read_commit(store, ShardId(0, 4)) is None
    assert [*committed(store)] == [COMMIT.shard, retry.shard]
    assert listed(store) == {COMMIT.shard, retry.shard}


def test_a_retry_does_not_replace_failures_of_a_shard_that_was_done_again_after_it() -> None:
    retry = Commit(ShardId(1, 0), "retry", RETRIED, None, 0, (0, 0, 0), origin=COMMIT.shard)
    assert visible_parts([COMMIT, retry]) == [DONE, RETRIED]
    again = replace(COMMIT, left=(retry.shard,))
    assert visible_parts([again, retry]) == [DONE, FAILED, RETRIED]
    later = Commit(
        ShardId(2, 0), "retry", None, part("g0002-000000", "other-failed", 2), 0, (0, 0, 0), COMMIT.shard
    )
    assert visible_parts([again, retry, later]) == [DONE, RETRIED, later.failed]


def test_the_first_record_counts(store: ObjectStore) -> None:
    create_commit(store, COMMIT)
    assert create_commit(store, replace(COMMIT, attempt="late", flops=99)) == COMMIT
    assert read_commit(store, COMMIT.shard) == COMMIT


def test_of_writers_at_once_all_get_the_same_record(store: ObjectStore) -> None:
    barrier = Barrier(6)

    def write(number: int) -> Commit:
        barrier.wait()
        return create_commit(store, replace(COMMIT, attempt=f"try-{number}"))

    with ThreadPoolExecutor(6) as threads:
        assert len(set(threads.map(write, range(6)))) == 1


def test_failed_rows_that_a_retry_replaced_are_not_visible() -> None:
    retry = Commit(ShardId(1, 0), "retry", DONE, FAILED, 0, (), origin=COMMIT.shard)
    again = Commit(ShardId(2, 0), "again", DONE, None, 0, (), origin=retry.shard)
    assert visible_parts([COMMIT]) == [DONE, FAILED]
    assert visible_parts([COMMIT, retry]) == [DONE, DONE, FAILED]
    assert visible_parts([COMMIT, retry, again]) == [DONE, DONE, DONE]


def changed(store: ObjectStore, path: Sequence[str | int], value: object) -> bytes:
    """The record of `COMMIT` with another value in one place."""
    create_commit(store, COMMIT)
    document = json.loads(store.read(commit_key(COMMIT.shard)))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return resealed(document)


def check_told(store: ObjectStore, content: bytes, told: str) -> None:
    store.write(commit_key(COMMIT.shard), content)
    with pytest.raises(StoreError) as caught:
        committed(store)
    message = str(caught.value)
    assert "commits/g0000/000003.json is not a commit record: " in message
    assert told in message
    assert "--repair" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b"[]", "expected `object`, got `array`"),
        (b"{}", "missing required field `shard`"),
        (b"\xff", "it is no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"shard": "g0000/000003", "shard": "g0000/000003"}', "`shard` is there more than once"),
    ],
)
def test_what_is_no_record_is_named(store: ObjectStore, content: bytes, told: str) -> None:
    check_told(store, content, told)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (["shard"], "g0/3", "at `$.shard`: expected"),
        (["flops"], -1, "at `$.flops`: expected `int` >= 0"),
        (["flops"], float("inf"), "Infinity is no number"),
        (["flops"], 10**400, "401 digits"),
        (["subnet_tiles"], {}, "at `$.subnet_tiles`: expected `array`"),
        (["subnet_tiles", 1], 1.5, "at `$.subnet_tiles[1]`: expected `int`"),
        (["done", "sha256"], "0" * 63, "at `$.done.sha256`: expected"),
        (["done", "key"], "data/part-g0000-000004-x.parquet", "at `$.done.key`: expected"),
        (["done", "key"], "data/../part-g0000-000003-x.parquet", "at `$.done.key`: expected"),
        (["origin"], "g0000/000003", "at `$.origin`: expected an earlier shard"),
        (["more"], 1, "unknown field `more`"),
    ],
)
def test_a_broken_record_is_named(store: ObjectStore, path: list[str | int], value: object, told: str) -> None:
    check_told(store, changed(store, path, value), told)


def test_the_record_of_another_shard_is_named(store: ObjectStore) -> None:
    create_commit(store, COMMIT)
    store.write(commit_key(ShardId(0, 5)), store.read(commit_key(COMMIT.shard)))
    with pytest.raises(StoreError, match=r"000005\.json is the record of g0000/000003"):
        committed(store)


def test_something_else_among_the_records_is_named(store: ObjectStore) -> None:
    store.write("commits/notes.txt", b"x")
    with pytest.raises(StoreError, match=r"commits/notes\.txt is not a commit record"):
        listed(store)


def test_a_log_reads_no_record_twice() -> None:
    store = CountingStore()
    log, first = CommitLog(store), like_it(ShardId(0, 1))
    create_commit(store, first)
    for _ in range(3):
        assert log.refresh() == {first.shard: first}
    create_commit(store, COMMIT)
    own = like_it(ShardId(1, 0))
    log.note(create_commit(store, own))
    for _ in range(3):
        assert list(log.refresh().items()) == [(commit.shard, commit) for commit in (first, COMMIT, own)]
    assert store.reads == {commit_key(first.shard): 1, commit_key(COMMIT.shard): 1}
    assert store.lists == {"commits/": 6}


def test_a_log_of_one_generation_asks_for_no_other() -> None:
    store = CountingStore()
    own = like_it(ShardId(1, 0))
    for commit in (COMMIT, own):
        create_commit(store, commit)
    assert CommitLog(store, 1).refresh() == {own.shard: own}
    assert listed(store, 0) == {COMMIT.shard}
    assert store.reads == {commit_key(own.shard): 1}
    assert store.lists == {"commits/g0001/": 1, "commits/g0000/": 1}


def test_a_record_that_was_taken_back_is_read_anew() -> None:
    store = CountingStore()
    log = CommitLog(store)
    create_commit(store, COMMIT)
    log.refresh()
    store.delete(commit_key(COMMIT.shard))
    assert log.refresh() == {}
    again = create_commit(store, replace(COMMIT, attempt="again"))
    assert log.refresh() == {COMMIT.shard: again}
