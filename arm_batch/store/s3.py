"""Objects in S3 or a compatible server, through boto3."""

from __future__ import annotations

import functools
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from arm_batch.errors import StoreError
from arm_batch.store.objects import ObjectInfo, checked_key

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3 import S3Client

_ATTEMPTS = 6
"""Of a conditional PUT or a GET whose body broke off: boto3 repeats neither by itself."""

_FIRST_WAIT_S = 0.1

_BUFFER = 1 << 20
"""Bytes fetched at least by one ranged GET: a Parquet footer with its index fits."""


@functools.lru_cache(maxsize=8)
def s3_client(endpoint_url: str | None) -> S3Client:
    """This process's client for an endpoint; clients are safe to share between threads."""
    config = Config(retries={"max_attempts": 8, "mode": "standard"})
    # A session of its own: boto3's default session is not safe to use from several threads.
    return boto3.session.Session().client("s3", endpoint_url=endpoint_url, config=config)


@dataclass(frozen=True)
class S3Store:
    """A prefix in a bucket. Credentials and region are found by boto3 in each process and never stored here.

    Attributes:
        bucket: its name.
        prefix: without slashes at its ends; empty for the whole bucket.
        endpoint_url: of a server other than AWS.
    """

    bucket: str
    prefix: str
    endpoint_url: str | None = None

    @property
    def url(self) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, key: str) -> str:
        """The bucket's name for an object."""
        return f"{self._base}{checked_key(key)}"

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, in order of their keys; see `ObjectStore`."""
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._base + prefix
            )
            for page in pages:
                for item in page.get("Contents", []):
                    key = item["Key"][len(self._base) :]
                    # Consoles mark folders by empty objects whose names end in a slash.
                    if not key.endswith("/") and key:
                        yield ObjectInfo(key, item["Size"], item["ETag"].strip('"'))

    def exists(self) -> bool:
        """Whether any object is under the prefix."""
        with self._errors(""):
            try:
                page = self._client.list_objects_v2(Bucket=self.bucket, Prefix=self._base, MaxKeys=1)
            except self._client.exceptions.NoSuchBucket:
                return False
        return bool(page.get("Contents"))

    def stat(self, key: str) -> ObjectInfo:
        """Size and ETag of one object."""
        with self._errors(key, reading=True):
            head = self._client.head_object(Bucket=self.bucket, Key=self.key(key))
        return ObjectInfo(key, head["ContentLength"], head["ETag"].strip('"'))

    def read(self, key: str) -> bytes:
        """The whole object."""
        return self.fetch(key)[0]

    def fetch(self, key: str) -> tuple[bytes, ObjectInfo]:
        """The whole object, and what it was when it was read."""
        for wait_s in _waits():
            with self._errors(key, reading=True):
                try:
                    answer = self._client.get_object(Bucket=self.bucket, Key=self.key(key))
                    data = answer["Body"].read()
                    return data, ObjectInfo(key, answer["ContentLength"], answer["ETag"].strip('"'))
                except HTTPClientError:
                    if wait_s is None:
                        raise
            time.sleep(wait_s)
        raise AssertionError("unreachable")

    def open(self, info: ObjectInfo) -> BinaryIO:
        """A reader of ranges of exactly this version of the object."""
        return cast(BinaryIO, io.BufferedReader(_RangeReader(self, info), _BUFFER))

    def fetch_range(self, info: ObjectInfo, start: int, length: int) -> bytes:
        """`length` bytes from `start`; `FileNotFoundError` when the object is no longer `info`."""
        for wait_s in _waits():
            with self._errors(info.key, reading=True):
                try:
                    answer = self._client.get_object(
                        Bucket=self.bucket,
                        Key=self.key(info.key),
                        Range=f"bytes={start}-{start + length - 1}",
                        IfMatch=f'"{info.etag}"',
                    )
                    return answer["Body"].read()
                except HTTPClientError:
                    if wait_s is None:
                        raise
            time.sleep(wait_s)
        raise AssertionError("unreachable")

    def write(self, key: str, data: bytes) -> None:
        """Write the whole object or nothing, by one PUT."""
        with self._errors(key):
            self._client.put_object(Bucket=self.bucket, Key=self.key(key), Body=data)

    def create(self, key: str, data: bytes) -> bool:
        """Write the object unless there is one; what is there counts as ours when it is exactly `data`."""
        for wait_s in _waits():
            with self._errors(key):
                try:
                    self._client.put_object(Bucket=self.bucket, Key=self.key(key), Body=data, IfNoneMatch="*")
                    return True
                except ClientError as error:
                    # 412: it is there, and it may be our own PUT whose answer got lost. 409: a race.
                    if wait_s is None or _status(error) not in (409, 412):
                        raise
                except HTTPClientError:
                    if wait_s is None:
                        raise
            try:
                return self.read(key) == data
            except FileNotFoundError:
                time.sleep(wait_s)
        raise AssertionError("unreachable")

    def delete(self, key: str) -> None:
        """Remove the object, if there is one."""
        with self._errors(key):
            self._client.delete_object(Bucket=self.bucket, Key=self.key(key))

    @property
    def _client(self) -> S3Client:
        return s3_client(self.endpoint_url)

    @property
    def _base(self) -> str:
        return f"{self.prefix}/" if self.prefix else ""

    @contextmanager
    def _errors(self, key: str, reading: bool = False) -> Iterator[None]:
        where = f"{self.url}/{key}".rstrip("/")
        try:
            yield
        except ClientError as error:
            answer, status = error.response.get("Error", {}), _status(error)
            message = answer.get("Message", str(error))
            if reading and status == 404 and answer.get("Code") != "NoSuchBucket":
                raise FileNotFoundError(f"{where}: {message}") from error
            if reading and status == 403:
                raise PermissionError(f"{where}: {message}") from error
            if reading and status == 412:
                raise FileNotFoundError(f"{where} changed since it was listed") from error
            raise StoreError(f"{where}: {message}") from error
        except BotoCoreError as error:
            raise StoreError(f"{where}: {' '.join(str(error).split())}") from error


class _RangeReader(io.RawIOBase):
    """A seekable file over ranged GETs."""

    def __init__(self, store: S3Store, info: ObjectInfo) -> None:
        self._store, self._info, self._position = store, info, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._info.size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        length = min(len(view), max(0, self._info.size - self._position))
        if not length:
            return 0
        data = self._store.fetch_range(self._info, self._position, length)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


def _waits() -> Iterator[float | None]:
    """Seconds to wait after each failed attempt; None after the last."""
    for attempt in range(_ATTEMPTS - 1):
        yield _FIRST_WAIT_S * 2**attempt
    yield None


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
