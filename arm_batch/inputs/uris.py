"""Images by their URIs: several buckets and folders as one place to read from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from arm_batch.errors import InputError, UsageError
from arm_batch.storage.base import ObjectInfo, ObjectStore, Readable
from arm_batch.storage.local import LocalStore
from arm_batch.storage.s3.store import S3Store
from arm_batch.storage.web import WebStore, check_web

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True)
class Places:
    """Reads objects whose keys are ``s3://bucket/key``, ``https://`` URLs, or absolute paths of local files.

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

    def _place(self, key: str) -> tuple[Readable, str]:
        if key.startswith(("http://", "https://")):
            return WebStore(), key
        if key.startswith("s3://"):
            bucket, _, name = key.removeprefix("s3://").partition("/")
            return S3Store(bucket=bucket, prefix="", endpoint_url=self.endpoint_url), name
        folder, _, name = key.rpartition("/")
        return LocalStore(folder or "/"), name


def resolve(uri: str, base: ObjectStore) -> tuple[str, str]:
    """What a line of a list in the folder `base` names: its key for `Places`, and the path that it suggests.

    Args:
        uri: ``s3://bucket/key`` with the key as it is, ``https://`` or ``http://`` URLs, ``file:///path`` with
            %-escapes, an absolute path, or one relative to `base`.
        base: the folder that the list is in.

    Raises:
        InputError: it is a URI of another kind, or one without a key or path.
    """
    scheme = _SCHEME.match(uri)
    if scheme is not None:
        return _of_scheme(uri, scheme[1].lower(), uri[scheme.end() :])
    if isinstance(base, S3Store) and not uri.startswith("/"):
        return f"s3://{base.bucket}/{_joined(base.prefix, uri)}", _plain(uri)
    return (uri if uri.startswith("/") else f"{base.url.rstrip('/')}/{uri}"), _plain(uri)


def _of_scheme(uri: str, scheme: str, rest: str) -> tuple[str, str]:
    if scheme == "s3":
        bucket, _, key = rest.partition("/")
        if not bucket or not key:
            raise InputError(f"{uri}: write s3://bucket/key")
        return f"s3://{bucket}/{key}", f"{bucket}/{key}"
    if scheme in ("http", "https"):
        return _of_web(uri)
    if scheme == "file":
        path = url2pathname(urlsplit(uri.replace("?", "%3F").replace("#", "%23")).path)
        return path, path.lstrip("/")
    raise InputError(
        f"{uri}: {scheme}:// cannot be read; write paths, s3:// and https:// URLs, and fetch anything else before"
    )


def _of_web(url: str) -> tuple[str, str]:
    """The URL without its fragment, and a path of host and path: who asks, and for what, may be secret."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise InputError(f"{url}: {error}") from error
    if not host or not parts.path.strip("/"):
        raise InputError(f"{url}: write https://host/path")
    try:
        check_web()
    except UsageError as error:
        raise InputError(str(error)) from error
    return parts._replace(scheme=parts.scheme.lower(), fragment="").geturl(), f"{host}/{parts.path.lstrip('/')}"


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
