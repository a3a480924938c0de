"""Opening local files for reading: what is no file is refused, and what fails says so in the store's words."""

from __future__ import annotations

import errno
import io
import os
import stat as stat_bits
from pathlib import Path
from typing import TYPE_CHECKING

from arm_batch.errors import ObjectError, StoreError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_WHAT_TO_DO = {
    errno.ENOSPC: "make room and run the same command again",
    errno.EDQUOT: "make room or have the quota raised, and run the same command again",
    errno.EROFS: "mount it writable and run the same command again",
    errno.EIO: "the disk or the connection to it fails; see the system's log",
}

_OF_THE_FILE = {
    errno.EAGAIN: "reading it would wait for something that may never come",
    errno.ELOOP: "too many levels of symbolic links",
    errno.ENAMETOOLONG: "file name too long",
    errno.ENODEV: "is a device that is not there",
    errno.ENXIO: "is a device that is not there",
}
"""What is wrong with one file, while others can be read."""

_FOLDER = "a folder"

_KINDS = {
    stat_bits.S_IFDIR: _FOLDER,
    stat_bits.S_IFIFO: "a named pipe",
    stat_bits.S_IFSOCK: "a socket",
    stat_bits.S_IFCHR: "a device",
    stat_bits.S_IFBLK: "a device",
}


class LocalFile(io.FileIO):
    """A file open for reading, whose failures are the store's.

    Raises, when it is opened:
        FileNotFoundError: there is none, or a folder.
        ObjectError: there is something else, such as a pipe, of which reading might never end.
        OSError: whatever else the system says.
    """

    def __init__(self, path: Path) -> None:
        # Before it is opened, as some devices do things when they are; and after, as it may be another by then.
        check_file(path.stat(), path)
        super().__init__(path, opener=_without_waiting)
        try:
            check_file(os.fstat(self.fileno()), path)
        except (OSError, ObjectError):
            self.close()
            raise

    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            count = super().readinto(buffer)
        except OSError as error:
            raise read_failure(error, str(self.name)) from error
        if count is None:
            raise ObjectError(str(self.name), _OF_THE_FILE[errno.EAGAIN])
        return count

    def readall(self) -> bytes:
        try:
            return super().readall()
        except OSError as error:
            raise read_failure(error, str(self.name)) from error


def kind_of(stat: os.stat_result) -> str | None:
    """What there is in place of a file, such as ``a named pipe``; None for a file."""
    if stat_bits.S_ISREG(stat.st_mode):
        return None
    return _KINDS.get(stat_bits.S_IFMT(stat.st_mode), "something special")


def check_file(stat: os.stat_result, path: Path) -> os.stat_result:
    """`stat` itself, if it is that of a file; see `LocalFile`."""
    kind = kind_of(stat)
    if kind == _FOLDER:
        raise FileNotFoundError(f"{path} is a folder, not a file")
    if kind is not None:
        raise ObjectError(str(path), f"is {kind}, not a regular file")
    return stat


def failure(error: OSError, where: str) -> StoreError:
    """What the system says about a file or folder, and what a person should do."""
    advice = _WHAT_TO_DO.get(error.errno or 0)
    message = f"{where}: {error.strerror or error}"
    return StoreError(f"{message}: {advice}" if advice else message)


def read_failure(error: OSError, where: str) -> StoreError:
    """The same where one file was to be read, whose own fault is an `ObjectError`."""
    reason = _OF_THE_FILE.get(error.errno or 0)
    return failure(error, where) if reason is None else ObjectError(where, reason)


def _without_waiting(path: str, flags: int) -> int:
    """Opens even a pipe that has come into the file's place at once."""
    return os.open(path, flags | os.O_NONBLOCK)
