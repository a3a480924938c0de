"""A store whose user vouches that one process writes to it, for servers that cannot refuse a second one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from arm_batch.storage.base import ObjectInfo, ObjectStore


@dataclass(frozen=True)
class SingleWriterStore:
    """Looks before it writes where `ObjectStore.create` would ask the server to refuse.

    Attributes:
        inner: the store itself.
    """

    inner: ObjectStore

    @property
    def url(self) -> str:
        """Of the store itself."""
        return self.inner.url

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See `ObjectStore`."""
        return self.inner.list(prefix)

    def exists(self) -> bool:
        """See `ObjectStore`."""
        return self.inner.exists()

    def stat(self, key: str) -> ObjectInfo:
        """See `ObjectStore`."""
        return self.inner.stat(key)

    def read(self, key: str) -> bytes:
        """See `ObjectStore`."""
        return self.inner.read(key)

    def fetch(self, key: str) -> tuple[bytes, ObjectInfo]:
        """See `ObjectStore`."""
        return self.inner.fetch(key)

    def open(self, info: ObjectInfo) -> BinaryIO:
        """See `ObjectStore`."""
        return self.inner.open(info)

    def fetch_range(self, key: str, etag: str, start: int, length: int) -> bytes:
        """See `ObjectStore`."""
        return self.inner.fetch_range(key, etag, start, length)

    def write(self, key: str, data: bytes) -> None:
        """See `ObjectStore`."""
        self.inner.write(key, data)

    def create(self, key: str, data: bytes) -> bool:
        """Write the object unless there is one; not safe against a writer in another process."""
        try:
            return self.inner.read(key) == data
        except FileNotFoundError:
            self.inner.write(key, data)
            return True

    def scratch_folder(self) -> Path:
        """See `ObjectStore`."""
        return self.inner.scratch_folder()

    def write_file(self, key: str, finished: Path) -> None:
        """See `ObjectStore`."""
        self.inner.write_file(key, finished)

    def move(self, info: ObjectInfo, target: str) -> None:
        """See `ObjectStore`."""
        self.inner.move(info, target)

    def delete(self, key: str) -> None:
        """See `ObjectStore`."""
        self.inner.delete(key)

    def sweep(self) -> int:
        """See `ObjectStore`."""
        return self.inner.sweep()
