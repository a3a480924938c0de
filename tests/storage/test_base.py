from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from arm_batch.errors import StoreError, UsageError
from arm_batch.storage.base import ObjectStore, honours_create
from arm_batch.storage.local import LocalStore
from arm_batch.storage.open import open_store
from arm_batch.storage.retry import RetryPolicy
from arm_batch.storage.s3.store import S3Store
from tests.faults.plan import Fault
from tests.faults.proxy import FaultyS3

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


def test_one_range(store: ObjectStore) -> None:
    store.write("big", bytes(range(256)))
    etag = store.stat("big").etag
    assert store.fetch_range("big", etag, 3, 4) == bytes([3, 4, 5, 6])
    for wrong in ("big", "other", 3, 4), ("missing", etag, 3, 4):
        with pytest.raises(FileNotFoundError):
            store.fetch_range(*wrong)


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


def test_our_own_object_counts_as_ours(store: ObjectStore) -> None:
    assert store.create("a", b"attempt 1")
    assert store.create("a", b"attempt 1")
    assert not store.create("a", b"attempt 2")
    assert store.read("a") == b"attempt 1"


def test_nothing_is_left_to_sweep(store: ObjectStore) -> None:
    store.write("a/b", b"x")
    store.create("a/c", b"x")
    assert store.sweep() == 0
    assert [info.key for info in store.list()] == ["a/b", "a/c"]


def test_a_probe_that_was_there_before_is_no_verdict(store: ObjectStore) -> None:
    store.write("probe-token", b"something else")
    with pytest.raises(StoreError, match="probe-token is there already"):
        honours_create(store, "token")
    assert store.read("probe-token") == b"something else"


def test_a_store_that_overwrites(s3_endpoint: str, s3_bucket: str) -> None:
    with FaultyS3(s3_endpoint, honours_conditions=False) as proxy:
        store = S3Store(bucket=s3_bucket, prefix="p", endpoint_url=proxy.url)
        assert not honours_create(store, "token")
        assert list(store.list()) == []


def test_a_store_that_knows_no_conditional_put(s3_endpoint: str, s3_bucket: str) -> None:
    with FaultyS3(s3_endpoint) as proxy:
        store = S3Store(bucket=s3_bucket, prefix="p", endpoint_url=proxy.url)
        proxy.script(Fault.UNSUPPORTED)
        assert not honours_create(store, "token")
        assert list(store.list()) == []


def test_a_probe_whose_answers_get_lost(s3_endpoint: str, s3_bucket: str) -> None:
    with FaultyS3(s3_endpoint) as proxy:
        store = S3Store(bucket=s3_bucket, prefix="p", endpoint_url=proxy.url)
        proxy.script(Fault.LOST, Fault.PASS, Fault.LOST)
        assert honours_create(store, "token")
        assert list(store.list()) == []


def test_a_store_that_cannot_be_reached_gets_no_verdict(s3_endpoint: str, tmp_path: Path) -> None:
    del s3_endpoint  # only for the credentials it sets
    (tmp_path / "file").write_bytes(b"")
    nobody = S3Store(
        bucket="bucket",
        prefix="p",
        endpoint_url="http://127.0.0.1:1",
        retry_policy=RetryPolicy(attempts=2, first_wait_s=0.01),
    )
    for store in (nobody, LocalStore(str(tmp_path / "file" / "root"))):
        with pytest.raises(StoreError) as caught:
            honours_create(store, "token")
        assert caught.type is StoreError


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
    # S3 has no folders: there, slashes at any place may be part of somebody's key, and lead nowhere else.
    slashes = isinstance(store, S3Store) and key in ("/a", "a//b", "a/")
    for read in (store.read, store.stat):
        with pytest.raises(
            FileNotFoundError if slashes else StoreError, match="404|Found|not exist" if slashes else "not a key"
        ):
            read(key)
    with pytest.raises(StoreError, match="not a key"):
        store.delete(key)
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
    assert open_store("s3://b/a/c/") == S3Store(bucket="b", prefix="a/c")
    assert open_store("s3://b") == S3Store(bucket="b", prefix="")
    assert open_store("s3://b/a?b#c", "http://x") == S3Store(bucket="b", prefix="a?b#c", endpoint_url="http://x")
    assert open_store("x y") == LocalStore(str(tmp_path / "x y"))
    assert open_store("file:///x%20y") == LocalStore("/x y")
    for wrong in ("s3://", "s3:///a", "gs://a/b", ""):
        with pytest.raises(UsageError):
            open_store(wrong)
    for endpoint in ("x:9000", "ftp://x", "http://", "http://x:port", "http://x:99999", "http://[x"):
        with pytest.raises(UsageError, match="is not an endpoint"):
            open_store("s3://b", endpoint)
    assert open_store("s3://b", "https://x.example") == S3Store(
        bucket="b", prefix="", endpoint_url="https://x.example"
    )
