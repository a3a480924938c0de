"""The bytes behind a URL, as the store's owner sees them: past the store of the package."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


class Disk(Protocol):
    """A folder or prefix."""

    @property
    def url(self) -> str:
        """How `arm-batch` is told of it."""
        ...

    def names(self) -> list[str]:
        """Of all objects, in order, but for files that are on their way."""
        ...

    def read(self, key: str) -> bytes | None:
        """None where there is nothing."""
        ...

    def write(self, key: str, data: bytes) -> str:
        """Put an object there by hand; returns the ETag that its store gives it."""
        ...

    def remove(self, key: str) -> None:
        """By hand."""
        ...


@dataclass
class Folder:
    """On a disk.

    Attributes:
        root: the folder.
        url: how `arm-batch` is told of it.
    """

    root: Path
    url: str
    _ticks: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def names(self) -> list[str]:
        """See `Disk`."""
        start = len(str(self.root)) + 1
        found = (f"{folder}/{name}"[start:] for folder, _, names in os.walk(self.root) for name in names)
        return sorted(key for key in found if not key.rpartition("/")[2].startswith(".arm-batch-"))

    def read(self, key: str) -> bytes | None:
        """See `Disk`."""
        try:
            with open(f"{self.root}/{key}", "rb") as file:  # noqa: PTH123 - a Path takes longer than the file
                return file.read()
        except FileNotFoundError:
            return None

    def write(self, key: str, data: bytes) -> str:
        """See `Disk`. No two files ever have the same time."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        time_ns = 10**18 + next(self._ticks)
        os.utime(path, ns=(time_ns, time_ns))
        return f"{time_ns:x}-{len(data):x}"

    def remove(self, key: str) -> None:
        """See `Disk`."""
        (self.root / key).unlink()


@dataclass
class Bucket:
    """On a server, or on what stands for one.

    Attributes:
        client: of boto3, or a `FakeClient`.
        bucket: its name.
        prefix: in it.
    """

    client: Any
    bucket: str
    prefix: str

    @property
    def url(self) -> str:
        """See `Disk`."""
        return f"s3://{self.bucket}/{self.prefix}"

    def names(self) -> list[str]:
        """See `Disk`."""
        page = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.prefix}/")
        return sorted(item["Key"].removeprefix(f"{self.prefix}/") for item in page.get("Contents", []))

    def read(self, key: str) -> bytes | None:
        """See `Disk`."""
        try:
            answer = self.client.get_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")
        except self.client.exceptions.NoSuchKey:
            return None
        data: bytes = answer["Body"].read()
        return data

    def write(self, key: str, data: bytes) -> str:
        """See `Disk`."""
        self.client.put_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}", Body=data)
        return _md5(data)

    def remove(self, key: str) -> None:
        """See `Disk`."""
        self.client.delete_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def flip(data: bytes, at: float) -> bytes:
    """One bit, `at` of 0 to 1 of the way through."""
    position = min(int(at * len(data)), len(data) - 1)
    bit = 1 << (int(at * 1e6) % 8)
    return data[:position] + bytes([data[position] ^ bit]) + data[position + 1 :]


DAMAGES: dict[str, Callable[[bytes, float], bytes | None]] = {
    "flip": flip,
    "truncate": lambda data, at: data[: int(at * len(data))],
    "empty": lambda _data, _at: b"",
    "remove": lambda _data, _at: None,
}
"""What happens to a file: its bytes afterwards, None where it is gone."""
