from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from arm_batch.errors import StoreError, UsageError
from arm_batch.store.local import LocalStore
from arm_batch.store.objects import ObjectStore, honours_create, open_store
from arm_batch.store.s3 import S3Store

HOSTILE = ["", "/a", "../a", "a/../../b", "a//b", "./a", "a/.", "a\0b", "a/", "\udcff"]


def test_what_is_written_is_read_and_listed_in_order(store: ObjectStore) -> None:
    keys = ["b/c.bin", "b.bin", "b/a.bin", "ä b?#%.bin", "a.bin"]
    for key in keys:
        store.write(key, key.encode())
    assert [info.key for info in store.list()] == sorted(keys)
    assert [info.key for info in store.list("b/")] == ["b/a.bin", "b/c.bin"]
    assert [info.key for info in store.list("b")] == ["b.bin", "b/a.bin", "b/c.bin"]
    for info in store.list():
        assert store.read(info.key) == info.key.encode()
        assert store.stat(info.key) == info
        assert store.fetch(info.key) == (info.key.encode(), info)


def test_writing_again_replaces_and_changes_the_etag(store: ObjectStore) -> None:
    store.write("a", b"one")
    before = store.stat("a")
    store.write("a", b"three")
    assert store.read("a") == b"three"
    assert store.stat("a").etag != before.etag
    with pytest.raises(FileNotFoundError, match="changed since"):
        store.open(before).read()


def test_ranges(store: ObjectStore) -> None:
    data = bytes(range(256)) * 20_000
    store.write("big", data)
    with store.open(store.stat("big")) as reader:
        reader.seek(-5, 2)
        assert reader.read() == data[-5:]
        reader.seek(3_000_001)
        assert reader.read(2_000_000) == data[3_000_001:5_000_001]
        assert reader.tell() == 5_000_001
        reader.seek(0)
        assert reader.read() == data


def test_missing_and_deleted(store: ObjectStore) -> None:
    assert list(store.list()) == []
    for read in (store.read, store.stat, store.fetch):
        with pytest.raises(FileNotFoundError):
            read("a/b")
    store.delete("a/b")
    store.write("a/b", b"x")
    assert store.exists()
    store.delete("a/b")
    with pytest.raises(FileNotFoundError):
        store.read("a/b")


def test_create_is_refused_where_something_is(store: ObjectStore) -> None:
    assert store.create("x/1.json", b"first")
    assert not store.create("x/1.json", b"second")
    assert store.read("x/1.json") == b"first"
    assert honours_create(store, "token")
    assert [info.key for info in store.list()] == ["x/1.json"]


def test_one_of_eight_creates_wins(store: ObjectStore) -> None:
    barrier = Barrier(8)

    def attempt(number: int) -> bool:
        barrier.wait()
        return store.create("one", b"%d" % number)

    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(attempt, range(8)))
    assert sum(won) == 1
    assert store.read("one") == b"%d" % won.index(True)
    assert [info.key for info in store.list()] == ["one"]


@pytest.mark.parametrize("key", HOSTILE)
def test_no_key_leaves_the_root(store: ObjectStore, key: str) -> None:
    for act in (store.read, store.stat, store.delete):
        with pytest.raises(StoreError, match="not a key"):
            act(key)
    for write in (store.write, store.create):
        with pytest.raises(StoreError, match="not a key"):
            write(key, b"")


def test_stores_travel(store: ObjectStore) -> None:
    store.write("a", b"x")
    copy = pickle.loads(pickle.dumps(store))
    assert copy == store
    assert hash(copy) == hash(store)
    assert copy.read("a") == b"x"


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_store("s3://b/a/c/") == S3Store("b", "a/c")
    assert open_store("s3://b") == S3Store("b", "")
    assert open_store("s3://b/a?b#c", "http://x") == S3Store("b", "a?b#c", "http://x")
    assert open_store("x y") == LocalStore(str(tmp_path / "x y"))
    assert open_store("file:///x%20y") == LocalStore("/x y")
    for wrong in ("s3://", "s3:///a", "gs://a/b", ""):
        with pytest.raises(UsageError):
            open_store(wrong)
