"""Files of any size into S3, part by part; only the last request makes the object appear."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from arm_batch.errors import StoreError, UnsupportedError
from arm_batch.storage.s3.errors import FAILURES, code, is_missing, is_transient

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

T = TypeVar("T")

PART_BYTES = 64 << 20
"""Of one part, which is held in memory while it is sent."""

_MOST_PARTS = 10_000
_TRIES = 3
"""Of a whole upload, whose parts may be swept away while it lasts."""

_TOKEN = "arm-batch-upload"


class Tried(Protocol):
    """Runs an attempt as often as it takes, as `S3Store` does."""

    def __call__(self, attempt: Callable[[], T], *, again: Callable[[Exception], bool] = is_transient) -> T: ...


class _GoneError(Exception):
    """The upload is no more, and nothing came of it."""


def upload(client: S3Client, bucket: str, key: str, path: Path, tried: Tried) -> None:
    """Make a file an object, replacing what was there.

    Args:
        client: of the store.
        bucket: of the object.
        key: of the object in the bucket.
        path: of the file.
        tried: runs each request.

    Raises:
        StoreError: the file cannot be read, or the store not be written.
    """
    for _ in range(_TRIES):
        with suppress(_GoneError):
            _Upload(client, bucket, key, tried).run(path)
            return
    raise StoreError(f"s3://{bucket}/{key}: the upload disappeared {_TRIES} times while it lasted")


def remove_uploads(client: S3Client, bucket: str, prefix: str, tried: Tried) -> int:
    """Give up all uploads under a prefix, and say how many; none where that is not allowed or not known.

    Who is at one notices, and begins again.
    """
    removed = 0
    with suppress(StoreError, UnsupportedError):
        for key, upload_id in tried(lambda: list(_uploads(client, bucket, prefix))):
            _abort(client, bucket, key, upload_id, tried)
            removed += 1
    return removed


class _Upload:
    """One upload, told from all others by a token that the object carries."""

    def __init__(self, client: S3Client, bucket: str, key: str, tried: Tried) -> None:
        self._client, self._bucket, self._key, self._tried = client, bucket, key, tried
        self._token = uuid.uuid4().hex
        self._id = ""

    def run(self, path: Path) -> None:
        """See `upload`."""
        created = self._tried(
            lambda: self._client.create_multipart_upload(
                Bucket=self._bucket, Key=self._key, Metadata={_TOKEN: self._token}
            )
        )
        self._id = created["UploadId"]
        try:
            self._complete([self._send(number, data) for number, data in enumerate(_parts(path), 1)])
        except BaseException:
            with suppress(StoreError):
                _abort(self._client, self._bucket, self._key, self._id, self._tried)
            raise

    def _send(self, number: int, data: bytes) -> CompletedPartTypeDef:
        def attempt() -> CompletedPartTypeDef:
            try:
                sent = self._client.upload_part(
                    Bucket=self._bucket, Key=self._key, UploadId=self._id, PartNumber=number, Body=data
                )
            except FAILURES as error:
                if code(error) == "NoSuchUpload":
                    raise _GoneError from error
                raise
            return {"ETag": sent["ETag"], "PartNumber": number}

        return self._tried(attempt)

    def _complete(self, parts: list[CompletedPartTypeDef]) -> None:
        def attempt() -> None:
            try:
                self._client.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=self._key,
                    UploadId=self._id,
                    MultipartUpload={"Parts": parts},
                )
            except FAILURES as error:
                # Whatever the answer, the object may be there by now: ours, if an answer got lost.
                if self._token_there() == self._token:
                    return
                if code(error) == "NoSuchUpload":
                    raise _GoneError from error
                raise

        self._tried(attempt)

    def _token_there(self) -> str | None:
        """The token of the object that is there; empty for one that has none, None where there is no object."""
        try:
            return self._client.head_object(Bucket=self._bucket, Key=self._key)["Metadata"].get(_TOKEN, "")
        except FAILURES as error:
            if is_missing(error):
                return None
            raise


def _parts(path: Path) -> Iterator[bytes]:
    """A file cut into parts; of an empty one an empty part."""
    try:
        size = path.stat().st_size
        part = max(PART_BYTES, -(-size // _MOST_PARTS))
        with path.open("rb") as file:
            yield file.read(part)
            while data := file.read(part):
                yield data
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error


def _uploads(client: S3Client, bucket: str, prefix: str) -> Iterator[tuple[str, str]]:
    page = client.list_multipart_uploads(Bucket=bucket, Prefix=prefix)
    while True:
        for item in page.get("Uploads", []):
            if item["Key"].startswith(prefix):
                yield item["Key"], item["UploadId"]
        if not page.get("IsTruncated"):
            return
        page = client.list_multipart_uploads(
            Bucket=bucket,
            Prefix=prefix,
            KeyMarker=page["NextKeyMarker"],
            UploadIdMarker=page["NextUploadIdMarker"],
        )


def _abort(client: S3Client, bucket: str, key: str, upload_id: str, tried: Tried) -> None:
    def attempt() -> None:
        try:
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
        except FAILURES as error:
            if not is_missing(error):
                raise

    tried(attempt)
