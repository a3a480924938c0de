"""Files that become objects without being held in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from arm_batch.errors import StoreError
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.local import LocalStore
from arm_batch.storage.retry import RetryPolicy
from arm_batch.storage.s3 import multipart
from arm_batch.storage.s3 import store as store_module
from arm_batch.storage.s3.store import S3Store
from arm_batch.storage.scratch import scratch_file
from arm_batch.storage.single_writer import SingleWriterStore
from tests.faults.plan import Fault
from tests.faults.proxy import FaultyS3

FAST = RetryPolicy(attempts=6, first_wait_s=0.005, longest_wait_s=0.02, connect_s=30, read_s=30)
PART = 5 << 20


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3's least size, so that a few MB are several parts."""
    monkeypatch.setattr(multipart, "PART_BYTES", PART)


def finished(folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    return path


def uploads(store: S3Store) -> int:
    return len(store.client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", []))


@pytest.mark.parametrize("size", [0, 10, 2 * PART + 3])
def test_the_last_file_counts(store: ObjectStore, tmp_path: Path, size: int) -> None:
    store.write_file("images/a.tif", finished(tmp_path / "made", "first", bytes(size)))
    assert store.read("images/a.tif") == bytes(size)
    store.write_file("images/a.tif", finished(tmp_path / "made", "second", b"x" * (size + 1)))
    assert store.read("images/a.tif") == b"x" * (size + 1)
    assert [info.key for info in store.list()] == ["images/a.tif"]
    assert store.sweep() == 0


@pytest.mark.parametrize("single", [False, True])
def test_a_moved_object_replaces_what_was_there_and_leaves_nothing(store: ObjectStore, single: bool) -> None:
    store = SingleWriterStore(store) if single else store
    store.write("images/a b/c.tif", b"old")
    store.write("staging/x/a b/c.tif", b"new")
    info = store.stat("staging/x/a b/c.tif")
    store.move(info, "images/a b/c.tif")
    assert [info.key for info in store.list()] == ["images/a b/c.tif"]
    assert store.read("images/a b/c.tif") == b"new"
    with pytest.raises(FileNotFoundError):
        store.move(info, "images/a b/c.tif")
    assert store.read("images/a b/c.tif") == b"new"


def test_moving_leaves_no_empty_folders(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.write("staging/x/deep/a", b"1")
    store.write("staging/x/b", b"2")
    store.move(store.stat("staging/x/deep/a"), "images/deep/a")
    assert sorted(path.name for path in (tmp_path / "staging" / "x").iterdir()) == ["b"]
    store.move(store.stat("staging/x/b"), "images/b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]
    store.write("staging/y/deep/c", b"3")
    store.delete("staging/y/deep/c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


def test_what_s3_cannot_copy_in_one_request_goes_part_by_part(
    s3_bucket: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = S3Store(bucket=s3_bucket, prefix="p", endpoint_url=s3_endpoint)
    store.write("a", b"ab" * (5 << 20))
    monkeypatch.setattr(store_module, "_LARGEST_PUT", 9 << 20)
    store.move(store.stat("a"), "b")
    assert store.read("b") == b"ab" * (5 << 20)
    assert [info.key for info in store.list()] == ["b"]


def test_a_file_of_another_file_system_is_copied(tmp_path: Path) -> None:
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("one file system only")
    store = LocalStore(str(tmp_path))
    with scratch_file(shm / tmp_path.name) as path:
        path.write_bytes(b"far")
        store.write_file("a", path)
    (shm / tmp_path.name).rmdir()
    assert store.read("a") == b"far"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_scratch_is_locked_while_it_is_used_and_gone_afterwards(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    assert store.scratch_folder() == tmp_path
    with scratch_file(tmp_path) as path:
        path.write_bytes(b"half")
        assert store.sweep() == 0
        assert not list(store.list())
        with scratch_file(tmp_path) as other:
            assert other != path
            assert path.exists()
        store.write_file("a", path)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


DIES = """
import os, sys, pathlib
from arm_batch.storage.scratch import scratch_file
with scratch_file(pathlib.Path(sys.argv[1])) as path:
    path.write_bytes(b"half")
    os._exit(1)
"""


@pytest.mark.parametrize("how", ["sweep", "the next"])
def test_what_a_killed_process_left_goes(tmp_path: Path, how: str) -> None:
    subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    if how == "sweep":
        assert LocalStore(str(tmp_path)).sweep() == 1
    else:
        with scratch_file(tmp_path):
            assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="file/below: no scratch file"), scratch_file(tmp_path / "file" / "below"):
        pass


@pytest.fixture(scope="module")
def proxied(s3_endpoint: str) -> Iterator[FaultyS3]:
    with FaultyS3(s3_endpoint, delay_s=0.5) as proxy:
        yield proxy


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.SLOW_DOWN, Fault.RESET, Fault.LOST])
@pytest.mark.parametrize("request_number", range(4))
def test_uploads_survive_a_fault_at_each_request(
    s3_bucket: str, s3_endpoint: str, proxied: FaultyS3, tmp_path: Path, fault: Fault, request_number: int
) -> None:
    direct = S3Store(bucket=s3_bucket, prefix="p", endpoint_url=s3_endpoint)
    store = replace(direct, endpoint_url=proxied.url, retry_policy=FAST)
    path = finished(tmp_path, "file", b"ab" * PART)
    proxied.forget()
    proxied.script(*[Fault.PASS] * request_number, fault)
    # Begin, two parts, end: an answer to the end that gets lost must not look like somebody else's object.
    store.write_file("a", path)
    assert proxied.counts[fault] == 1
    assert direct.read("a") == b"ab" * PART
    assert direct.stat("a").size == 2 * PART


def test_an_upload_that_is_swept_away_begins_again(
    s3_bucket: str, s3_endpoint: str, proxied: FaultyS3, tmp_path: Path
) -> None:
    direct = S3Store(bucket=s3_bucket, prefix="p", endpoint_url=s3_endpoint)
    store = replace(direct, endpoint_url=proxied.url, retry_policy=FAST)
    proxied.forget()
    proxied.script(Fault.GONE, method="POST", path="uploadId")
    store.write_file("a", finished(tmp_path, "file", b"ab" * PART))
    assert [seen.method for seen in proxied.seen].count("PUT") == 4
    assert direct.read("a") == b"ab" * PART
    assert uploads(direct) == 0


def test_uploads_that_broke_off_are_given_up(s3_bucket: str, s3_endpoint: str) -> None:
    store = S3Store(bucket=s3_bucket, prefix="p", endpoint_url=s3_endpoint)
    store.client.create_multipart_upload(Bucket=s3_bucket, Key="elsewhere/b")
    store.client.create_multipart_upload(Bucket=s3_bucket, Key="p/images/b")
    assert store.sweep() == 1
    assert uploads(store) == 1


def test_an_upload_of_nothing_leaves_nothing(s3_bucket: str, s3_endpoint: str, tmp_path: Path) -> None:
    store = S3Store(bucket=s3_bucket, prefix="p", endpoint_url=s3_endpoint)
    with pytest.raises(StoreError, match="missing"):
        store.write_file("b", tmp_path / "missing")
    assert uploads(store) == 0
