"""Opening the store that a URL names."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from arm_batch.errors import UsageError
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.local import LocalStore

_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")


def open_store(url: str, endpoint_url: str | None = None) -> ObjectStore:
    """The store at ``s3://bucket/prefix``, ``file:///folder`` or a local path. Nothing is touched yet.

    Args:
        url: of the root.
        endpoint_url: of an S3-compatible server other than AWS.

    Raises:
        UsageError: the scheme is unknown, the bucket is missing from the URL, or the endpoint is not one.
    """
    scheme, separator, _ = url.partition("://")
    if separator and scheme == "s3":
        return _open_s3(url, endpoint_url)
    if separator and scheme == "file":
        return LocalStore(str(Path(url2pathname(urlsplit(url).path)).absolute()))
    if separator and scheme.isalnum():
        raise UsageError(f"{url}: unknown kind of store; write a path or s3://bucket/prefix")
    if not url:
        raise UsageError("the path is empty")
    return LocalStore(str(Path(url).expanduser().absolute()))


def _open_s3(url: str, endpoint_url: str | None) -> ObjectStore:
    # Here rather than above: boto3 takes its time to import.
    from arm_batch.storage.s3.store import S3Store

    parts = urlsplit(url.replace("?", "%3F").replace("#", "%23"))
    if not parts.netloc:
        raise UsageError(f"{url}: write s3://bucket/prefix")
    if not _BUCKET.fullmatch(parts.netloc):
        raise UsageError(f"{url}: {parts.netloc!r} is not what a bucket can be called")
    if endpoint_url is not None and not _is_endpoint(endpoint_url):
        raise UsageError(f"{endpoint_url!r} is not an endpoint: write http://host:port")
    prefix = parts.path.replace("%3F", "?").replace("%23", "#").strip("/")
    return S3Store(bucket=parts.netloc, prefix=prefix, endpoint_url=endpoint_url)


def _is_endpoint(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
