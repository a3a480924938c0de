"""Objects as files in a folder."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from arm_batch.errors import StoreError
from arm_batch.storage.base import ObjectInfo, checked_key, is_safe_key
from arm_batch.storage.durable import (
    create_file,
    is_temporary,
    move_file,
    remove_empty,
    remove_file,
    write_file,
)
from arm_batch.storage.local_files import LocalFile, check_file, failure, read_failure
from arm_batch.storage.retry import DEFAULT_RETRY_POLICY
from arm_batch.storage.scratch import remove_unless_held
from arm_batch.storage.waiting import waits


@dataclass(frozen=True)
class LocalStore:
    """A folder; it and its subfolders are made when something is written.

    Links to folders are not followed (they may form a ring), links to files are.

    Attributes:
        root: absolute path.
    """

    root: str

    @property
    def url(self) -> str:
        """The folder's path."""
        return self.root

    def path(self, key: str) -> Path:
        """The file of an object."""
        return Path(self.root, checked_key(key))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All files whose key starts with `prefix`, in order of their keys; see `ObjectStore`."""
        if prefix.rstrip("/"):
            checked_key(prefix.rstrip("/"))
        folder = Path(self.root, prefix).parent if not prefix.endswith("/") else Path(self.root, prefix)
        infos: list[ObjectInfo] = []
        for path in _files(folder if prefix else Path(self.root), temporary=False):
            key = path[len(self.root.rstrip("/")) + 1 :]
            if not key.startswith(prefix):
                continue
            if not is_safe_key(key):
                raise StoreError(f"{self.root}: a file's name is not valid UTF-8: {key!r}")
            # Broken links and files that vanished since are not there.
            with self._errors(key), suppress(FileNotFoundError):
                infos.append(file_info(key, Path(path).stat()))
        return iter(sorted(infos, key=lambda info: info.key))

    def exists(self) -> bool:
        """Whether the folder exists."""
        with self._errors(""):
            return Path(self.root).is_dir()

    def stat(self, key: str) -> ObjectInfo:
        """Size and ETag of one file."""
        with self._reading(key):
            path = self.path(key)
            return file_info(key, check_file(path.stat(), path))

    def read(self, key: str) -> bytes:
        """The whole file."""
        return self.fetch(key)[0]

    def fetch(self, key: str) -> tuple[bytes, ObjectInfo]:
        """The whole file, and what it was when it was read."""
        with self._reading(key), io.BufferedReader(LocalFile(self.path(key))) as file:
            info = file_info(key, os.fstat(file.fileno()))
            # Some files of the system have no end, and no size either.
            data = file.read(info.size + 1)
            if len(data) != info.size or file_info(key, os.fstat(file.fileno())) != info:
                raise FileNotFoundError(f"{self.root}/{key} changed while it was read")
            return data, info

    def open(self, info: ObjectInfo) -> BinaryIO:
        """The file, open for reading; `FileNotFoundError` when it is no longer `info`."""
        with self._reading(info.key):
            file = LocalFile(self.path(info.key))
            if file_info(info.key, os.fstat(file.fileno())) != info:
                file.close()
                raise FileNotFoundError(f"{self.root}/{info.key} changed since it was listed")
            return cast(BinaryIO, io.BufferedReader(file))

    def fetch_range(self, key: str, etag: str, start: int, length: int) -> bytes:
        """`length` bytes from `start` of exactly this version of the file; see `ObjectStore`."""
        with self._reading(key), LocalFile(self.path(key)) as file:
            data = os.pread(file.fileno(), length, start)
            if file_info(key, os.fstat(file.fileno())).etag != etag or len(data) != length:
                raise FileNotFoundError(f"{self.root}/{key} changed since it was listed")
            return data

    def write(self, key: str, data: bytes) -> None:
        """Write the whole file or nothing; it is on disk when this returns."""
        with self._errors(key):
            write_file(self.path(key), data)

    def create(self, key: str, data: bytes) -> bool:
        """Write the file unless there is one; exactly one of several callers with different data gets True."""
        with self._errors(key):
            return create_file(self.path(key), data)

    def scratch_folder(self) -> Path:
        """The folder itself: what is written there gets its place by a second name."""
        return Path(self.root)

    def write_file(self, key: str, finished: Path) -> None:
        """Move a finished local file to the object's place; see `ObjectStore`."""
        with self._errors(key):
            move_file(self.path(key), finished)

    def move(self, info: ObjectInfo, target: str) -> None:
        """Give a file another name; folders that are empty then are removed. See `ObjectStore`."""
        source = self.path(info.key)
        with self._errors(info.key, reading=True):
            move_file(self.path(target), source)
            # Still there where the two lie on different file systems.
            source.unlink(missing_ok=True)
            remove_empty(source.parent, Path(self.root))

    def delete(self, key: str) -> None:
        """Remove the file, if there is one, and folders that are empty then."""
        with self._errors(key):
            remove_file(self.path(key))
            remove_empty(self.path(key).parent, Path(self.root))

    def sweep(self) -> int:
        """Remove temporary files but those that are locked; a writer that is alive tries again with a new one."""
        swept = 0
        for path in _files(Path(self.root), temporary=True):
            with self._errors(path[len(self.root.rstrip("/")) + 1 :]):
                swept += remove_unless_held(Path(path))
        return swept

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        """The same as `_errors` for what is read, which a stuck mount may make wait for ever."""
        told = waits.over(f"{self.root}/{key}", "it is waited for without end", DEFAULT_RETRY_POLICY.first_word_s)
        with told, self._errors(key, reading=True):
            yield

    @contextmanager
    def _errors(self, key: str, reading: bool = False) -> Iterator[None]:
        where = f"{self.root}/{key}".rstrip("/")
        try:
            yield
        except OSError as error:
            if reading and isinstance(error, NotADirectoryError):
                raise FileNotFoundError(str(error)) from error
            if reading and isinstance(error, FileNotFoundError | PermissionError):
                raise
            raise (read_failure if reading else failure)(error, where) from error


def file_info(key: str, stat: os.stat_result) -> ObjectInfo:
    """A file as its store tells of it; `key` is taken as it is."""
    return ObjectInfo(key, stat.st_size, f"{stat.st_mtime_ns:x}-{stat.st_size:x}")


def _files(folder: Path, temporary: bool) -> Iterator[str]:
    """Paths of all files under `folder` that are temporary, or of those that are not."""

    def refuse(error: OSError) -> None:
        # Skipping what cannot be listed would leave work undone in silence.
        if not isinstance(error, FileNotFoundError):
            raise failure(error, str(error.filename))

    for parent, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            if is_temporary(name) == temporary:
                yield os.path.join(parent, name)  # noqa: PTH118 - a Path a file doubles the time of a listing
