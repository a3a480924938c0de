from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from arm_batch.errors import StoreError, UnsupportedError
from arm_batch.storage.base import honours_create
from arm_batch.storage.local import LocalStore

TEMPORARY = ".arm-batch-"

SELF_MEMORY = Path("/proc/self/mem")
"""Its first page is not mapped, so that reading it fails with EIO as a broken disk does."""

WRITES: dict[str, Callable[[LocalStore, str, bytes], Any]] = {
    "write": lambda store, key, data: store.write(key, data),
    "create": lambda store, key, data: store.create(key, data),
}


def names(folder: Path) -> list[str]:
    """All that is in `folder`, temporary files included."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def failing(number: int) -> Callable[..., Any]:
    def fail(*_args: Any, **_options: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


def test_temporary_files_are_not_listed_and_not_left(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    (tmp_path / ".arm-batch-0123.tmp").write_bytes(b"half")
    store.write("a", b"x")
    assert [info.key for info in store.list()] == ["a"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".arm-batch-0123.tmp", "a"]


class Recorder:
    """The calls that decide what is on disk, in order, with paths relative to a folder; temporary files are T."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.calls: list[str] = []
        self._root = root
        for name in ("mkdir", "link", "replace", "unlink"):
            monkeypatch.setattr(os, name, self._recording(name, getattr(os, name)))
        fsync = os.fsync

        def recorded(descriptor: int) -> None:
            self.calls.append(f"fsync {self._named(Path(f'/proc/self/fd/{descriptor}').readlink())}")
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", recorded)

    def _recording(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*args: Any, **options: Any) -> Any:
            paths = [self._named(Path(arg)) for arg in args if isinstance(arg, str | Path)]
            result = real(*args, **options)
            self.calls.append(" ".join([name, *paths]))
            return result

        return recorded

    def _named(self, path: Path) -> str:
        named = str(path.relative_to(self._root))
        return "T" if TEMPORARY in named else named


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to name what is synced")
def test_what_is_synced_and_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Recorder(monkeypatch, tmp_path).calls
    store = LocalStore(str(tmp_path / "root"))
    assert store.create("a/b/c", b"x")
    # Each new folder into the one above it, the file before it gets its name, its folder after that.
    assert calls == [
        *("mkdir root", "fsync .", "mkdir root/a", "fsync root", "mkdir root/a/b", "fsync root/a"),
        *("fsync T", "link T root/a/b/c", "fsync root/a/b", "unlink T"),
    ]
    calls.clear()
    store.write("a/b/c", b"y")
    assert calls == ["fsync T", "replace T root/a/b/c", "fsync root/a/b"]
    calls.clear()
    # The record that is adopted must not be lost either.
    assert not store.create("a/b/c", b"z")
    assert calls == ["fsync T", "fsync root/a/b", "unlink T"]
    calls.clear()
    store.delete("a/b/c")
    assert calls == ["unlink root/a/b/c", "fsync root/a/b"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "No space left on device: make room and run the same command again"),
        (errno.EDQUOT, "Disk quota exceeded: make room or have the quota raised"),
        (errno.EROFS, "Read-only file system: mount it writable"),
        (errno.EIO, "Input/output error: the disk or the connection to it fails"),
    ],
)
@pytest.mark.parametrize(("operation", "call"), [("write", "replace"), ("create", "link")])
@pytest.mark.parametrize("where", ["mkdir", "fsync", "call"])
def test_failures_leave_what_was_and_nothing_else(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    message: str,
    operation: str,
    call: str,
    where: str,
) -> None:
    store = LocalStore(str(tmp_path))
    store.write("a", b"old")
    key = "a" if operation == "write" and where != "mkdir" else "new/b" if where == "mkdir" else "b"
    with monkeypatch.context() as patch:
        patch.setattr(os, call if where == "call" else where, failing(number))
        with pytest.raises(StoreError, match=rf"^{tmp_path}/{key}: {message}") as caught:
            WRITES[operation](store, key, b"new")
    assert caught.type is StoreError
    assert names(tmp_path) == ["a"]
    assert store.read("a") == b"old"


@pytest.mark.parametrize("operation", WRITES)
def test_a_failing_sync_of_the_folder_is_told_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    store = LocalStore(str(tmp_path))
    real, calls = os.fsync, 0

    def second_fails(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            failing(errno.EIO)()
        real(descriptor)

    monkeypatch.setattr(os, "fsync", second_fails)
    with pytest.raises(StoreError, match="Input/output error"):
        WRITES[operation](store, "a", b"new")
    # It may be there, but not in part, and a second try finds its own.
    assert names(tmp_path) == ["a"]
    assert WRITES[operation](store, "a", b"new") in (None, True)
    assert store.read("a") == b"new"


@pytest.mark.parametrize("operation", WRITES)
def test_a_file_that_stays_too_short(tmp_path: Path, operation: str) -> None:
    store = LocalStore(str(tmp_path))
    store.write("a", b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(StoreError, match="File too large"):
            WRITES[operation](store, "a" if operation == "write" else "b", bytes(3 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == ["a"]
    assert store.read("a") == b"old"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("operation", WRITES)
def test_a_disk_that_is_full(small_disk: Path, operation: str) -> None:
    store = LocalStore(str(small_disk))
    store.write("a", bytes(600 << 10))
    with pytest.raises(StoreError, match="No space left on device: make room"):
        WRITES[operation](store, "b", bytes(600 << 10))
    assert names(small_disk) == ["a"]
    store.delete("a")
    assert WRITES[operation](store, "b", bytes(600 << 10)) in (None, True)


@pytest.mark.skipif(not SELF_MEMORY.exists(), reason="needs /proc/self/mem")
def test_a_disk_that_cannot_be_read(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    (tmp_path / "a").symlink_to(SELF_MEMORY)
    with pytest.raises(StoreError, match=f"^{tmp_path}/a: Input/output error: the disk"):
        store.read("a")
    for read in (lambda file: file.read(), lambda file: file.read(10)):
        with (
            store.open(store.stat("a")) as file,
            pytest.raises(StoreError, match="a: Input/output error: the disk"),
        ):
            read(file)


def test_folders_that_cannot_be_listed_or_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(str(tmp_path))
    store.write("a", b"x")
    for name, act in [
        ("scandir", lambda: list(store.list())),
        ("scandir", store.sweep),
        ("stat", lambda: list(store.list())),
        ("stat", store.exists),
        ("stat", lambda: store.stat("a")),
        ("unlink", lambda: store.delete("a")),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing(errno.EIO))
            with pytest.raises(StoreError, match="Input/output error"):
                act()


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(str(tmp_path))
    store.write("a", b"x" * 10)
    # The first look is whether it is a file at all.
    real, grow = os.fstat, iter([False, True])

    def growing(descriptor: int) -> os.stat_result:
        result = real(descriptor)
        if next(grow, False):
            with (tmp_path / "a").open("ab") as file:
                file.write(b"more")
        return result

    monkeypatch.setattr(os, "fstat", growing)
    with pytest.raises(FileNotFoundError, match="changed while it was read"):
        store.read("a")
    assert store.read("a") == b"x" * 10 + b"more"


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize("sweeps", [2, 100])
def test_a_sweep_meanwhile_costs_a_writer_at_work_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str, sweeps: int
) -> None:
    store = LocalStore(str(tmp_path))
    real, swept = os.fsync, 0

    def sweep_then_sync(descriptor: int) -> None:
        nonlocal swept
        real(descriptor)
        if swept < sweeps:
            swept += store.sweep()

    monkeypatch.setattr(os, "fsync", sweep_then_sync)
    with contextlib.nullcontext() if sweeps == 2 else pytest.raises(StoreError, match="No such file"):
        assert WRITES[operation](store, "a", b"x") in (None, True)
    # Whoever removes them for ever is told so, after a few.
    assert swept == (2 if sweeps == 2 else 5)
    assert names(tmp_path) == (["a"] if sweeps == 2 else [])


def test_a_sweep_removes_temporary_files_only(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    assert LocalStore(str(tmp_path / "nothing")).sweep() == 0
    store.write("data/a", b"x")
    for name in (".arm-batch-1.tmp", "data/.arm-batch-2.tmp"):
        (tmp_path / name).write_bytes(b"half")
    for name in (".arm-batch-1", "data/2.tmp", ".hidden"):
        (tmp_path / name).write_bytes(b"whole")
    assert store.sweep() == 2
    assert names(tmp_path) == [".arm-batch-1", ".hidden", "data", "data/2.tmp", "data/a"]
    assert store.sweep() == 0


def test_a_link_whose_answer_says_that_it_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(str(tmp_path))
    real = os.link

    def lost_answer(source: Any, target: Any, **options: Any) -> None:
        real(source, target, **options)
        real(source, target, **options)

    monkeypatch.setattr(os, "link", lost_answer)
    assert store.create("a", b"ours")
    assert not store.create("a", b"another")


def test_a_record_that_vanishes_between_the_refusal_and_the_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(str(tmp_path))
    store.write("a", b"another")
    real, vanish = Path.read_bytes, iter([True])

    def read_bytes(path: Path) -> bytes:
        if next(vanish, False):
            path.unlink()
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert store.create("a", b"ours")
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    store = LocalStore(str(tmp_path))
    monkeypatch.setattr(os, "link", failing(number))
    with pytest.raises(UnsupportedError, match="a: no hard links on this file system"):
        store.create("a", b"x")
    assert not honours_create(store, "token")
    assert names(tmp_path) == []


def test_a_file_system_that_does_not_sync_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(str(tmp_path))
    real = os.fsync

    def files_only(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            failing(errno.EINVAL)()
        real(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    store.write("a/b", b"x")
    assert store.read("a/b") == b"x"


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
    for write in WRITES.values():
        with pytest.raises(StoreError):
            write(store, "a", b"x")
        with pytest.raises(StoreError):
            write(store, "a/b/c", b"x")
    store.delete("a/b/c")
    with pytest.raises(StoreError):
        store.delete("a")
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
