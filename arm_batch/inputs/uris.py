"""Images by their URIs: several buckets and folders as one place to read from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from arm_batch.errors import InputError
from arm_batch.storage.base import ObjectInfo, ObjectStore
from arm_batch.storage.local import LocalStore
from arm_batch.storage.s3.store import S3Store

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True)
class Places:
    """Reads objects whose keys are ``s3://bucket/key`` or absolute paths of local files.

    Attributes:
        endpoint_url: of an S3-compatible server other than AWS.
    """

    endpoint_url: str | None

    @property
    def url(self) -> str:
        """Keys are complete by themselves."""
        return ""

    def stat(self, key: str) -> ObjectInfo:
        """See `Readable`."""
        store, name = self._place(key)
        return store.stat(name)

    def fetch(self, key: str) -> tuple[bytes, ObjectInfo]:
        """See `Readable`."""
        store, name = self._place(key)
        return store.fetch(name)

    def fetch_range(self, key: str, etag: str, start: int, length: int) -> bytes:
        """See `Readable`."""
        store, name = self._place(key)
        return store.fetch_range(name, etag, start, length)

    def open(self, info: ObjectInfo) -> BinaryIO:
        """See `Readable`."""
        store, name = self._place(info.key)
        return store.open(ObjectInfo(name, info.size, info.etag))

    def _place(self, key: str) -> tuple[ObjectStore, str]:
        if key.startswith("s3://"):
            bucket, _, name = key.removeprefix("s3://").partition("/")
            return S3Store(bucket=bucket, prefix="", endpoint_url=self.endpoint_url), name
        folder, _, name = key.rpartition("/")
        return LocalStore(folder or "/"), name


def resolve(uri: str, base: ObjectStore) -> tuple[str, str]:
    """What a line of a list in the folder `base` names: its key for `Places`, and the path that it suggests.

    Args:
        uri: ``s3://bucket/key`` with the key as it is, ``file:///path`` with %-escapes, an absolute path, or one
            relative to `base`.
        base: the folder that the list is in.

    Raises:
        InputError: it is a URI of another kind, or one without a key or path.
    """
    scheme = _SCHEME.match(uri)
    if scheme is not None and scheme[1].lower() == "s3":
        bucket, _, key = uri[scheme.end() :].partition("/")
        if not bucket or not key:
            raise InputError(f"{uri}: write s3://bucket/key")
        return f"s3://{bucket}/{key}", f"{bucket}/{key}"
    if scheme is not None and scheme[1].lower() == "file":
        path = url2pathname(urlsplit(uri.replace("?", "%3F").replace("#", "%23")).path)
        return path, path.lstrip("/")
    if scheme is not None:
        raise InputError(
            f"{uri}: {scheme[1]}:// cannot be read; write paths and s3:// URIs, and fetch anything else before"
        )
    if isinstance(base, S3Store) and not uri.startswith("/"):
        return f"s3://{base.bucket}/{_joined(base.prefix, uri)}", _plain(uri)
    return (uri if uri.startswith("/") else f"{base.url.rstrip('/')}/{uri}"), _plain(uri)


def _joined(prefix: str, relative: str) -> str:
    """A key from a prefix, without dots as parts; slashes that stand together may belong to a key."""
    parts = prefix.split("/") if prefix else []
    for part in relative.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _plain(path: str) -> str:
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    return path.removeprefix("/")
