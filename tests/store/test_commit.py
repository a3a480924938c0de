from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from arm_batch.errors import StoreError
from arm_batch.store.commit import (
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
from arm_batch.store.objects import ObjectStore
from arm_batch.store.plan import ShardId
from tests.store.counting import CountingStore

DONE = Part("data/a.parquet", 5, 1000, "aa")
FAILED = Part("data/a-failed.parquet", 2, 100, "bb")
COMMIT = Commit(ShardId(0, 3), "try", DONE, FAILED, 12, (1, 2, 3))


def test_a_record_comes_back_as_it_went_in(store: ObjectStore) -> None:
    retry = Commit(ShardId(1, 0), "other", None, FAILED, 0, (0, 0, 0), origin=ShardId(0, 3))
    for commit in (COMMIT, retry):
        assert create_commit(store, commit) == commit
        assert read_commit(store, commit.shard) == commit
    assert read_commit(store, ShardId(0, 4)) is None
    assert committed(store) == {commit.shard: commit for commit in (COMMIT, retry)}
    assert listed(store) == {COMMIT.shard, retry.shard}


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


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"shard": "g0000/000003"}', COMMIT.to_json().replace(b"g0000/", b"x"), b"\xff"],
)
def test_a_broken_record_is_named(store: ObjectStore, content: bytes) -> None:
    store.write(commit_key(COMMIT.shard), content)
    with pytest.raises(StoreError, match=r"commits/g0000/000003\.json is not a commit record"):
        committed(store)


def test_something_else_among_the_records_is_named(store: ObjectStore) -> None:
    store.write("commits/notes.txt", b"x")
    with pytest.raises(StoreError, match=r"commits/notes\.txt is not a commit record"):
        listed(store)


def test_a_log_reads_no_record_twice() -> None:
    store = CountingStore()
    log, first = CommitLog(store), replace(COMMIT, shard=ShardId(0, 1))
    create_commit(store, first)
    for _ in range(3):
        assert log.refresh() == {first.shard: first}
    create_commit(store, COMMIT)
    own = replace(COMMIT, shard=ShardId(1, 0))
    log.note(create_commit(store, own))
    for _ in range(3):
        assert list(log.refresh().items()) == [(commit.shard, commit) for commit in (first, COMMIT, own)]
    assert store.reads == {commit_key(first.shard): 1, commit_key(COMMIT.shard): 1}
    assert store.lists == {"commits/": 6}


def test_a_log_of_one_generation_asks_for_no_other() -> None:
    store = CountingStore()
    own = replace(COMMIT, shard=ShardId(1, 0))
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
