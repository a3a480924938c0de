"""Files that appear whole or not at all, and that are still there after a power cut."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from arm_batch.errors import UnsupportedError

T = TypeVar("T")

PREFIX, SUFFIX = ".arm-batch-", ".tmp"
"""Of files that are written before they get their own names."""

_TRIES = 5
"""With a new temporary file each, when somebody else's sweep has removed the one before."""

_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def is_temporary(name: str) -> bool:
    """Whether a file called `name` is one that this module writes to before it gets its own name."""
    return name.startswith(PREFIX) and name.endswith(SUFFIX)


def write_file(target: Path, data: bytes) -> None:
    """Write the whole file, replacing what was there; it is on disk when this returns.

    Raises:
        OSError: nothing is changed, unless only the last sync of the folder failed.
    """

    def rename(temporary: Path) -> None:
        temporary.replace(target)

    _placed(target, data, rename)


def create_file(target: Path, data: bytes) -> bool:
    """Write the file unless there is one; True when there is one with exactly `data` now, on disk.

    Raises:
        OSError: as `write_file`.
        UnsupportedError: the file system has no hard links.
    """

    def link(temporary: Path) -> bool:
        # It may be ours: over NFS a link can succeed although its answer says that it was there already.
        return _linked(target, temporary) or target.read_bytes() == data

    return _placed(target, data, link)


def move_file(target: Path, finished: Path) -> None:
    """Give a finished file the name `target`, replacing what was there; across file systems it is copied.

    Raises:
        OSError: as `write_file`; among others `FileNotFoundError` when `finished` was swept away or moved.
    """
    with _beside(target, finished) as near:
        near.replace(target)
        _sync_folder(target.parent)


@contextmanager
def _beside(target: Path, finished: Path) -> Iterator[Path]:
    """The file, on disk, or a copy of it, on the file system of `target`."""
    make_folder(target.parent)
    with _reserved(target.parent) as copy:
        near = finished
        if finished.stat().st_dev != target.parent.stat().st_dev:
            shutil.copyfile(finished, copy)
            near = copy
        with near.open("rb") as file:
            os.fsync(file.fileno())
        yield near


def _linked(target: Path, finished: Path) -> bool:
    """Give a file a second name; False where the name is given already."""
    try:
        target.hardlink_to(finished)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise UnsupportedError(f"{target}: no hard links on this file system") from error
        raise
    return True


def remove_file(target: Path) -> None:
    """Remove the file, if there is one; it stays away after a power cut."""
    with suppress(FileNotFoundError, NotADirectoryError):
        target.unlink()
        _sync_folder(target.parent)


def remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder below `root` and those above it, as far as they are empty."""
    with suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent


def _placed(target: Path, data: bytes, place: Callable[[Path], T]) -> T:
    for tries_left in reversed(range(_TRIES)):
        try:
            with _temporary(target.parent, data) as temporary:
                result = place(temporary)
                _sync_folder(target.parent)
                return result
        except FileNotFoundError:
            if not tries_left:
                raise
    raise AssertionError("unreachable")


@contextmanager
def _temporary(folder: Path, data: bytes) -> Iterator[Path]:
    """A file with `data`, synced, in `folder`; removed afterwards unless it was renamed."""
    make_folder(folder)
    with _reserved(folder) as path:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield path


@contextmanager
def _reserved(folder: Path) -> Iterator[Path]:
    """A temporary name in `folder`; what is written there is removed afterwards unless it was renamed."""
    path = folder / f"{PREFIX}{uuid.uuid4().hex}{SUFFIX}"
    try:
        yield path
    finally:
        # Where it cannot be removed, that is not what the caller has to know; a sweep will.
        with suppress(OSError):
            path.unlink()


def make_folder(folder: Path) -> None:
    """Make it and its parents, each of the new ones synced into the folder above it.

    Raises:
        OSError: it cannot be made; among others `FileNotFoundError` when others go on removing its parents.
    """
    for tries_left in reversed(range(_TRIES)):
        missing = list(itertools.takewhile(lambda path: not path.exists(), (folder, *folder.parents)))
        try:
            for path in reversed(missing):
                path.mkdir(exist_ok=True)
                _sync_folder(path.parent)
            return
        except FileNotFoundError:
            # A parent was empty for a moment, and somebody has removed it for that.
            if not tries_left:
                raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems do not sync folders; they have no more to give.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
