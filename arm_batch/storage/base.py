"""Where bytes live: a folder or an S3 prefix behind one small interface."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from arm_batch.errors import ObjectError, StoreError, UnsupportedError

_HASHED_AT_ONCE = 1 << 20
"""Bytes."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object as a listing shows it.

    Attributes:
        key: ``/``-separated, relative to the store's root.
        size: bytes.
        etag: changes when the content does: S3's ETag without quotes; for files ``mtime_ns-size`` in hex.
    """

    key: str
    size: int
    etag: str


class Readable(Protocol):
    """Objects that can be read. Implementations are frozen, hashable and picklable.

    Every method raises `StoreError` when the store cannot be reached. Those that read raise `FileNotFoundError`
    for a missing object, `PermissionError` for a forbidden one and `ObjectError` for one that is of no use for
    another reason of its own. What may pass by itself was repeated before: a caller need not.
    """

    @property
    def url(self) -> str:
        """The root, for messages."""
        ...

    def __hash__(self) -> int:
        """Equal stores are the same place: caches go by it."""
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Size and ETag of one object."""
        ...

    def fetch(self, key: str) -> tuple[bytes, ObjectInfo]:
        """The whole object, and what it was when it was read."""
        ...

    def open(self, info: ObjectInfo) -> BinaryIO:
        """A seekable reader that fetches the ranges asked for.

        It, or this call, raises `FileNotFoundError` when the object is no longer `info`.
        """
        ...

    def fetch_range(self, key: str, etag: str, start: int, length: int) -> bytes:
        """`length` bytes, at least one, from `start`, in one request.

        Raises:
            FileNotFoundError: the object no longer has this ETag, or is too short.
        """
        ...


class ObjectStore(Readable, Protocol):
    """A flat space of objects under one root; after a `StoreError` a write may have taken effect or not, but never
    in part.
    """

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, recursively, in order of their keys."""
        ...

    def exists(self) -> bool:
        """Whether the folder exists, or the prefix holds an object."""
        ...

    def read(self, key: str) -> bytes:
        """The whole object."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Write the whole object or nothing; replaces what was there."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Write the object unless there is one.

        An object that holds exactly `data` counts as ours, as the store's answer can get lost: it must carry
        something that no other caller writes, such as an attempt id.

        Returns:
            True when the object is ours, False when another was there first.

        Raises:
            UnsupportedError: the store says that it has no such operation.
        """
        ...

    def scratch_folder(self) -> Path:
        """A local folder for files that are to become objects, from where that is cheapest."""
        ...

    def write_file(self, key: str, finished: Path) -> None:
        """Make a local file an object, without ever holding it in memory; replaces what was there.

        Args:
            key: of the object.
            finished: the file, best in `scratch_folder`; from now on nobody may change it, and it may be gone.
        """
        ...

    def move(self, info: ObjectInfo, target: str) -> None:
        """Give an object another key, replacing what was there; at no time it is under neither.

        Raises:
            FileNotFoundError: there is no such object, for instance because another caller has moved it.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove the object, if there is one."""
        ...

    def sweep(self) -> int:
        """Remove what writers that died left behind, and say how many that were; writers at work lose nothing."""
        ...


def is_safe_key(key: str) -> bool:
    """Whether `key` is a relative path that stays under its root on any store.

    >>> [is_safe_key(key) for key in ("a/b.png", "/a", "a/../b", "a//b", "")]
    [True, False, False, False, False]
    """
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in key and all(part not in ("", ".", "..") for part in key.split("/"))


def checked_key(key: str) -> str:
    """`key` itself; `ObjectError` when it would leave the store's root or cannot be written down."""
    if not is_safe_key(key):
        raise ObjectError(repr(key), "not a key that stays inside its folder")
    return key


def hash_stream(stream: BinaryIO) -> str:
    """The SHA-256, hex, of what is left of a stream."""
    digest = hashlib.sha256()
    while data := stream.read(_HASHED_AT_ONCE):
        digest.update(data)
    return digest.hexdigest()


PROBE = "probe-"
"""What the keys of probes begin with."""


def honours_create(store: ObjectStore, token: str) -> bool:
    """Try out whether the store really refuses a second `create`: some S3 look-alikes overwrite or cannot do it.

    Args:
        store: where a run is to be written; one small object, ``probe-TOKEN``, is created and removed.
        token: not used for another probe on this store.

    Raises:
        StoreError: the store cannot be reached or written, so there is no telling.
    """
    key = f"{PROBE}{token}"
    try:
        if not store.create(key, b"first " + token.encode()):
            raise StoreError(f"{store.url}/{key} is there already: the probe needs a token of its own")
    except UnsupportedError:
        return False
    refused = not store.create(key, b"second " + token.encode())
    store.delete(key)
    return refused
