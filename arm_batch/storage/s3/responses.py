"""Taking in what S3 answers, and noticing where it is not the whole of what was asked for."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from arm_batch.storage.retry import RetryPolicy

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef, ListObjectsV2OutputTypeDef

_PIECE = 1 << 15
"""Bytes of a body read at once, so that a body that trickles in is noticed between two of them."""


class BadAnswerError(Exception):
    """An answer that reports success and is not what was asked for, or comes too slowly."""


def read_body(answer: GetObjectOutputTypeDef, retry_policy: RetryPolicy) -> bytes:
    """The whole body of an object or a range.

    botocore, at the body's end, compares its length and, where S3 sent one, its checksum with the headers.

    Raises:
        BadAnswerError: it comes too slowly; besides, what botocore and urllib3 raise while they read.
    """
    size, started = answer.get("ContentLength", 0), retry_policy.now()
    limit_s = retry_policy.read_s + size / retry_policy.slowest_bytes_per_s
    data = io.BytesIO()
    with contextlib.closing(answer["Body"]) as body:
        while piece := body.read(_PIECE):
            data.write(piece)
            if retry_policy.now() - started > limit_s:
                raise BadAnswerError(f"only {data.tell()} of {size} bytes came in {limit_s:.0f} s")
    return data.getvalue()


def etag_of(answer: Any) -> str:
    """The ETag of any answer about one object, without quotes."""
    found = answer.get("ETag")
    if found is None:
        raise BadAnswerError("the answer has no ETag")
    return str(found).strip('"')


class RangeReader(io.RawIOBase):
    """A seekable file over ranged reads."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        """`fetch(start, length)` gives exactly these bytes; `size` is that of the file, in bytes."""
        self._fetch, self._size, self._position = fetch, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        length = min(len(view), max(0, self._size - self._position))
        if length:
            view[:length] = self._fetch(self._position, length)
            self._position += length
        return length


def list_page(client: S3Client, bucket: str, prefix: str, token: str) -> ListObjectsV2OutputTypeDef:
    """One page of a listing; `token` is that of the page before, empty for the first.

    Raises:
        BadAnswerError: the answer broke off.
    """
    if token:
        page = client.list_objects_v2(Bucket=bucket, Prefix=prefix, ContinuationToken=token)
    else:
        page = client.list_objects_v2(Bucket=bucket, Prefix=prefix)
    # botocore takes an answer that broke off before its first byte for a listing of nothing.
    if "IsTruncated" not in page:
        raise BadAnswerError("the answer is not a listing")
    return page
