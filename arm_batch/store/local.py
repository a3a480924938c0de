"""Objects as files in a folder."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from arm_batch.errors import StoreError
from arm_batch.store.objects import ObjectInfo, checked_key, is_safe_key

_TEMP_PREFIX, _TEMP_SUFFIX = ".arm-batch-", ".tmp"


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
        for path in _files(folder if prefix else Path(self.root)):
            key = path[len(self.root.rstrip("/")) + 1 :]
            if not key.startswith(prefix):
                continue
            if not is_safe_key(key):
                raise StoreError(f"{self.root}: a file's name is not valid UTF-8: {key!r}")
            # Broken links and files that vanished since are not there.
            try:
                infos.append(_info(key, Path(path).stat()))
            except FileNotFoundError:
                continue
        return iter(sorted(infos, key=lambda info: info.key))

    def exists(self) -> bool:
        """Whether the folder exists."""
        return Path(self.root).is_dir()

    def stat(self, key: str) -> ObjectInfo:
        """Size and ETag of one file."""
        with self._errors(key, reading=True):
            return _info(key, self._file(key).stat())

    def read(self, key: str) -> bytes:
        """The whole file."""
        return self.fetch(key)[0]

    def fetch(self, key: str) -> tuple[bytes, ObjectInfo]:
        """The whole file, and what it was when it was read."""
        with self._errors(key, reading=True), self._file(key).open("rb") as file:
            before = os.fstat(file.fileno())
            return file.read(), _info(key, before)

    def open(self, info: ObjectInfo) -> BinaryIO:
        """The file, open for reading; `FileNotFoundError` when it is no longer `info`."""
        with self._errors(info.key, reading=True):
            file = self._file(info.key).open("rb")
            if _info(info.key, os.fstat(file.fileno())) != info:
                file.close()
                raise FileNotFoundError(f"{self.root}/{info.key} changed since it was listed")
            return file

    def write(self, key: str, data: bytes) -> None:
        """Write the whole file or nothing; it is on disk when this returns."""
        with self._errors(key), _temporary(self.path(key), data) as temporary:
            temporary.replace(self.path(key))
            _sync_folder(temporary.parent)

    def create(self, key: str, data: bytes) -> bool:
        """Write the file unless there is one; exactly one of several callers gets True."""
        with self._errors(key), _temporary(self.path(key), data) as temporary:
            try:
                self.path(key).hardlink_to(temporary)
            except FileExistsError:
                # Over NFS a link can succeed although its answer says that it was there already.
                return temporary.stat().st_nlink > 1
            _sync_folder(temporary.parent)
            return True

    def delete(self, key: str) -> None:
        """Remove the file, if there is one."""
        with self._errors(key):
            self.path(key).unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        path = self.path(key)
        if path.is_dir():
            raise FileNotFoundError(f"{path} is a folder")
        return path

    @contextmanager
    def _errors(self, key: str, reading: bool = False) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if reading and isinstance(error, NotADirectoryError):
                raise FileNotFoundError(str(error)) from error
            if reading and isinstance(error, FileNotFoundError | PermissionError):
                raise
            raise StoreError(f"{self.root}/{key}: {error.strerror or error}") from error


def _info(key: str, stat: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key, stat.st_size, f"{stat.st_mtime_ns:x}-{stat.st_size:x}")


def _files(folder: Path) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        # Skipping what cannot be listed would leave work undone in silence.
        if not isinstance(error, FileNotFoundError):
            raise StoreError(f"{error.filename}: {error.strerror}")

    for parent, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            if not (name.startswith(_TEMP_PREFIX) and name.endswith(_TEMP_SUFFIX)):
                yield os.path.join(parent, name)  # noqa: PTH118 - a Path a file doubles the time of a listing


@contextmanager
def _temporary(target: Path, data: bytes) -> Iterator[Path]:
    """A file with `data`, synced, beside `target`; removed afterwards unless it was renamed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.parent / f"{_TEMP_PREFIX}{uuid.uuid4().hex}{_TEMP_SUFFIX}"
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror or error}") from error
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
