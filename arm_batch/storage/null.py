"""The output of a dry run: everything may be written there, and nothing is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from arm_batch.storage.base import ObjectInfo


@dataclass(frozen=True)
class NullStore:
    """A store that stays empty, see `ObjectStore`."""

    @property
    def url(self) -> str:
        """For messages."""
        return "nowhere"

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Nothing."""
        del prefix
        return iter(())

    def exists(self) -> bool:
        """Never."""
        return False

    def stat(self, key: str) -> ObjectInfo:
        """There is none."""
        _missing(key)

    def read(self, key: str) -> bytes:
        """There is none."""
        _missing(key)

    def fetch(self, key: str) -> tuple[bytes, ObjectInfo]:
        """There is none."""
        _missing(key)

    def open(self, info: ObjectInfo) -> BinaryIO:
        """There is none."""
        _missing(info.key)

    def fetch_range(self, key: str, etag: str, start: int, length: int) -> bytes:
        """There is none."""
        del etag, start, length
        _missing(key)

    def write(self, key: str, data: bytes) -> None:
        """Let it go."""

    def create(self, key: str, data: bytes) -> bool:
        """Let it go; there never was another."""
        del key, data
        return True

    def scratch_folder(self) -> Path:
        """Where this machine keeps temporary files."""
        return Path(tempfile.gettempdir())

    def write_file(self, key: str, finished: Path) -> None:
        """Let it go."""

    def move(self, info: ObjectInfo, target: str) -> None:
        """There is none."""
        del target
        _missing(info.key)

    def delete(self, key: str) -> None:
        """There is none."""

    def sweep(self) -> int:
        """Nothing to remove."""
        return 0


def _missing(key: str) -> NoReturn:
    raise FileNotFoundError(f"{key}: nothing is kept in a dry run")
