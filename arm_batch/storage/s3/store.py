"""Objects in S3 or a compatible server, through boto3."""

from __future__ import annotations

import functools
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from botocore.exceptions import ClientError

from arm_batch.errors import StoreError
from arm_batch.storage.base import ObjectInfo, checked_key
from arm_batch.storage.retry import DEFAULT_RETRY_POLICY, RetryPolicy
from arm_batch.storage.s3.client import repeated, s3_client
from arm_batch.storage.s3.errors import FAILURES, code, is_missing, is_transient, may_be_there, status
from arm_batch.storage.s3.multipart import Tried, remove_uploads, upload
from arm_batch.storage.s3.responses import BadAnswerError, RangeReader, etag_of, list_page, read_body

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CopySourceTypeDef, ListObjectsV2OutputTypeDef

T = TypeVar("T")

_BUFFER = 1 << 20
"""Bytes fetched at least by one ranged GET: a Parquet footer with its index fits."""

_LARGEST_PUT = 5 << 30
"""Bytes that S3 takes in one request."""


@dataclass(frozen=True, kw_only=True)
class S3Store:
    """A prefix in a bucket. Credentials and region are found by boto3 in each process and never stored here.

    What may pass by itself (throttling, 5xx, time-outs, broken connections and bodies) is repeated as
    `retry_policy` says; anything else is raised at once.

    Attributes:
        bucket: its name.
        prefix: without slashes at its ends; empty for the whole bucket.
        endpoint_url: of a server other than AWS.
        retry_policy: time-outs and repetitions; the same place with another policy is an equal store.
    """

    bucket: str
    prefix: str
    endpoint_url: str | None = None
    retry_policy: RetryPolicy = field(default=DEFAULT_RETRY_POLICY, compare=False)

    @property
    def url(self) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def client(self) -> S3Client:
        """This process's boto3 client for the store."""
        try:
            return s3_client(self.endpoint_url, self.retry_policy)
        except ValueError as error:
            raise StoreError(f"{self.url}: {error}") from error

    def key(self, key: str) -> str:
        """The bucket's name for an object of ours."""
        return f"{self._base}{checked_key(key)}"

    def readable(self, key: str) -> str:
        """The bucket's name for an object that somebody else may have written: slashes may stand anywhere."""
        checked_key("/".join(part for part in key.split("/") if part))
        return f"{self._base}{key}"

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, in order of their keys; see `ObjectStore`."""
        token: str | None = ""
        while token is not None:
            page = self._tried(prefix, functools.partial(self._page, prefix, token))
            for item in page.get("Contents", []):
                key = item["Key"][len(self._base) :]
                # Consoles mark folders by empty objects whose names end in a slash.
                if not key.endswith("/") and key:
                    yield ObjectInfo(key, item["Size"], item["ETag"].strip('"'))
            token = page.get("NextContinuationToken") if page["IsTruncated"] else None

    def exists(self) -> bool:
        """Whether any object is under the prefix."""

        def attempt() -> bool:
            try:
                return bool(self._page("", "").get("Contents"))
            except ClientError as error:
                if code(error) == "NoSuchBucket":
                    return False
                raise

        return self._tried("", attempt)

    def stat(self, key: str) -> ObjectInfo:
        """Size and ETag of one object."""

        def attempt() -> ObjectInfo:
            try:
                head = self.client.head_object(Bucket=self.bucket, Key=self.readable(key))
            except ClientError as error:
                # Answers to HEAD have no body that could tell what is wrong.
                if status(error) in (301, 400, 403):
                    self.client.get_object(Bucket=self.bucket, Key=self.readable(key), Range="bytes=0-0")[
                        "Body"
                    ].close()
                raise
            return ObjectInfo(key, head["ContentLength"], etag_of(head))

        return self._tried(key, attempt, reading=True)

    def read(self, key: str) -> bytes:
        """The whole object."""
        return self.fetch(key)[0]

    def fetch(self, key: str) -> tuple[bytes, ObjectInfo]:
        """The whole object, and what it was when it was read."""
        return self._tried(key, lambda: self._get(key), reading=True)

    def open(self, info: ObjectInfo) -> BinaryIO:
        """A reader of ranges of exactly this version of the object."""
        reader = RangeReader(functools.partial(self.fetch_range, info.key, info.etag), info.size)
        return cast(BinaryIO, io.BufferedReader(reader, _BUFFER))

    def fetch_range(self, key: str, etag: str, start: int, length: int) -> bytes:
        """`length` bytes from `start` of exactly this version of the object; see `ObjectStore`."""

        def attempt() -> bytes:
            answer = self.client.get_object(
                Bucket=self.bucket,
                Key=self.readable(key),
                Range=f"bytes={start}-{start + length - 1}",
                IfMatch=f'"{etag}"',
            )
            data = read_body(answer, self.retry_policy)
            # Not every server knows If-Match and Range.
            if etag_of(answer) != etag:
                raise FileNotFoundError(f"{self._where(key)} changed since it was listed")
            if len(data) != length:
                raise BadAnswerError(f"{len(data)} bytes came where {length} were asked for")
            return data

        return self._tried(key, attempt, reading=True)

    def write(self, key: str, data: bytes) -> None:
        """Write the whole object or nothing, by one PUT."""
        self._check_size(key, data)
        self._tried(key, lambda: self.client.put_object(Bucket=self.bucket, Key=self.key(key), Body=data))

    def create(self, key: str, data: bytes) -> bool:
        """Write the object unless there is one; see `ObjectStore`."""
        self._check_size(key, data)

        def attempt() -> bool:
            try:
                self.client.put_object(Bucket=self.bucket, Key=self.key(key), Body=data, IfNoneMatch="*")
            except FAILURES as error:
                # 412: an object is there, and it may be our own from a PUT whose answer got lost. After a passing
                # failure it may be there as well, or come into being even now: then the next PUT gets the 412.
                if not may_be_there(error):
                    raise
                there = self._peek(key)
                if there is None:
                    raise
                return there == data
            return True

        return self._tried(key, attempt, again=may_be_there)

    def scratch_folder(self) -> Path:
        """Where this machine keeps temporary files."""
        return Path(tempfile.gettempdir())

    def write_file(self, key: str, finished: Path) -> None:
        """Upload a local file; see `ObjectStore`."""
        upload(self.client, self.bucket, self.key(key), finished, self._patiently(key))

    def move(self, info: ObjectInfo, target: str) -> None:
        """Copy the object within S3 and remove it; see `ObjectStore`."""
        source: CopySourceTypeDef = {"Bucket": self.bucket, "Key": self.key(info.key)}

        def attempt() -> None:
            if info.size > _LARGEST_PUT:
                # Part by part; that needs requests of its own to begin and to end.
                self.client.copy(source, self.bucket, self.key(target))
            else:
                self.client.copy_object(CopySource=source, Bucket=self.bucket, Key=self.key(target))

        self._tried(info.key, attempt, reading=True)
        self.delete(info.key)

    def delete(self, key: str) -> None:
        """Remove the object, if there is one."""
        self._tried(key, lambda: self.client.delete_object(Bucket=self.bucket, Key=self.key(key)))

    def sweep(self) -> int:
        """Give up uploads in parts that broke off; a PUT in one request leaves nothing behind."""
        return remove_uploads(self.client, self.bucket, self._base, self._patiently(""))

    @property
    def _base(self) -> str:
        return f"{self.prefix}/" if self.prefix else ""

    def _where(self, key: str) -> str:
        return f"{self.url}/{key}".rstrip("/")

    def _page(self, prefix: str, token: str) -> ListObjectsV2OutputTypeDef:
        """One page of a listing; `token` is empty for the first."""
        return list_page(self.client, self.bucket, self._base + prefix, token)

    def _get(self, key: str) -> tuple[bytes, ObjectInfo]:
        answer = self.client.get_object(Bucket=self.bucket, Key=self.readable(key))
        data = read_body(answer, self.retry_policy)
        return data, ObjectInfo(key, len(data), etag_of(answer))

    def _peek(self, key: str) -> bytes | None:
        try:
            return self._get(key)[0]
        except ClientError as error:
            if is_missing(error):
                return None
            raise

    def _check_size(self, key: str, data: bytes) -> None:
        if len(data) > _LARGEST_PUT:
            raise StoreError(
                f"{self._where(key)}: {len(data)} bytes are more than S3 takes in one request, {_LARGEST_PUT}"
            )

    def _patiently(self, key: str) -> Tried:
        return cast(Tried, functools.partial(self._tried, key))

    def _tried(
        self,
        key: str,
        attempt: Callable[[], T],
        *,
        reading: bool = False,
        again: Callable[[Exception], bool] = is_transient,
    ) -> T:
        return repeated(attempt, self.retry_policy, self._where(key), reading, again)
