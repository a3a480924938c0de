"""Files that appear whole or not at all, and that are still there after a power cut."""

from __future__ import annotations

import errno
import itertools
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from arm_batch.errors import UnsupportedError

T = TypeVar("T")

_PREFIX, _SUFFIX = ".arm-batch-", ".tmp"

_TRIES = 5
"""With a new temporary file each, when somebody else's sweep has removed the one before."""

_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def is_temporary(name: str) -> bool:
    """Whether a file called `name` is one that this module writes to before it gets its own name."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


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
        try:
            target.hardlink_to(temporary)
        except FileExistsError:
            # It may be ours: over NFS a link can succeed although its answer says that it was there already.
            return target.read_bytes() == data
        except OSError as error:
            if error.errno in _NO_LINKS:
                raise UnsupportedError(f"{target}: no hard links on this file system") from error
            raise
        return True

    return _placed(target, data, link)


def remove_file(target: Path) -> None:
    """Remove the file, if there is one; it stays away after a power cut."""
    with suppress(FileNotFoundError, NotADirectoryError):
        target.unlink()
        _sync_folder(target.parent)


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
    _make_folder(folder)
    path = folder / f"{_PREFIX}{uuid.uuid4().hex}{_SUFFIX}"
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield path
    finally:
        # Where it cannot be removed, that is not what the caller has to know; a sweep will.
        with suppress(OSError):
            path.unlink()


def _make_folder(folder: Path) -> None:
    """Make it and its parents, each of the new ones synced into the folder above it."""
    missing = list(itertools.takewhile(lambda path: not path.exists(), (folder, *folder.parents)))
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        _sync_folder(path.parent)


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
