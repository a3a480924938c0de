"""Large files on their way into a store: written locally under a lock, and gone with their process."""

from __future__ import annotations

import fcntl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from arm_batch.errors import StoreError
from arm_batch.storage.durable import PREFIX, SUFFIX, make_folder

_NAMED = f"{PREFIX}scratch-"


@contextmanager
def scratch_file(folder: Path) -> Iterator[Path]:
    """An empty file to be filled, removed at the end; before, what killed processes left there goes.

    As long as it is in use it is locked, so that nobody takes it for a leftover. Where the file system has no
    locks, it may be swept away while it is written; then publishing it fails, and the work is done again.

    Args:
        folder: where; it is made if it is missing.

    Raises:
        StoreError: the folder cannot be written.
    """
    try:
        make_folder(folder)
        for left in folder.glob(f"{_NAMED}*{SUFFIX}"):
            remove_unless_held(left)
        path, file = _create(folder)
    except OSError as error:
        raise StoreError(f"{folder}: no scratch file can be written: {error.strerror or error}") from error
    with file:
        try:
            yield path
        finally:
            with suppress(OSError):
                path.unlink()


def remove_unless_held(path: Path) -> bool:
    """Remove a file that nobody has locked, unless it is another user's; whether it was removed."""
    try:
        file = path.open("r+b")
    except (FileNotFoundError, PermissionError):
        return False
    with file:
        try:
            _lock(file)
        except BlockingIOError:
            return False
        with suppress(FileNotFoundError):
            path.unlink()
            return True
    return False


def _create(folder: Path) -> tuple[Path, BinaryIO]:
    while True:
        path = folder / f"{_NAMED}{uuid.uuid4().hex}{SUFFIX}"
        file = path.open("xb")
        _lock(file)
        # Between the two lines above a sweep may have removed it.
        if path.exists():
            return path, file
        file.close()


def _lock(file: BinaryIO) -> None:
    """`BlockingIOError` where another holds it."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        # No locks on this file system.
        return
