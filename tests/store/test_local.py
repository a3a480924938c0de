from __future__ import annotations

import os
from pathlib import Path

import pytest

from arm_batch.errors import StoreError
from arm_batch.store.local import LocalStore


def test_temporary_files_are_not_listed_and_not_left(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    (tmp_path / ".arm-batch-0123.tmp").write_bytes(b"half")
    store.write("a", b"x")
    assert [info.key for info in store.list()] == ["a"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".arm-batch-0123.tmp", "a"]


def test_a_write_that_fails_leaves_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(str(tmp_path))
    store.write("a", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        store.write("a", b"new")
    assert store.read("a") == b"old"


def test_an_etag_is_time_and_size(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.write("a", b"four")
    assert store.stat("a").etag == f"{(tmp_path / 'a').stat().st_mtime_ns:x}-4"


def test_a_folder_or_a_file_in_the_way(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.write("a/b", b"x")
    with pytest.raises(FileNotFoundError):
        store.read("a")
    with pytest.raises(FileNotFoundError):
        store.read("a/b/c")
    with pytest.raises(StoreError):
        store.write("a", b"x")
    with pytest.raises(StoreError):
        store.write("a/b/c", b"x")
    assert [info.key for info in store.list()] == ["a/b"]


def test_links(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "root"))
    store.write("a", b"x")
    (tmp_path / "root/ring").symlink_to(tmp_path / "root")
    (tmp_path / "root/broken").symlink_to(tmp_path / "nothing")
    (tmp_path / "root/link").symlink_to(tmp_path / "root/a")
    assert [info.key for info in store.list()] == ["a", "link"]


def test_a_name_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")).write_bytes(b"x")
    with pytest.raises(StoreError, match="not valid UTF-8"):
        list(LocalStore(str(tmp_path)).list())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.write("a/b", b"x")
    (tmp_path / "a/b").chmod(0)
    with pytest.raises(PermissionError):
        store.read("a/b")
    (tmp_path / "a").chmod(0)
    try:
        with pytest.raises(StoreError, match="Permission denied"):
            list(store.list())
    finally:
        (tmp_path / "a").chmod(0o700)
