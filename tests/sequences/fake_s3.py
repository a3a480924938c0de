"""S3 without a network: a client whose objects are in memory, and in a folder for readers of files."""

from __future__ import annotations

import hashlib
import io
import uuid
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from botocore.response import StreamingBody


class FakeClient:
    """Answers as boto3's client does, as far as `arm_batch.storage` asks it.

    Args:
        root: holds the buckets.
    """

    READING = frozenset({"get_object", "head_object", "list_objects_v2", "list_multipart_uploads", "place"})

    class exceptions:  # noqa: N801
        """As boto3's client has them."""

        NoSuchKey = ClientError

    def __init__(self, root: Path) -> None:
        self._root = root
        self._objects: dict[tuple[str, str], tuple[bytes, str]] = {}
        """Bytes and ETag."""
        self._folders: set[Path] = set()
        self._uploads: dict[str, tuple[str, dict[str, str], dict[int, bytes]]] = {}
        self._metadata: dict[str, dict[str, str]] = {}

    def place(self, bucket: str, key: str) -> Path:
        """The file of an object."""
        return self._root / bucket / key

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, IfNoneMatch: str = "") -> dict[str, Any]:  # noqa: N803
        """See boto3."""
        if IfNoneMatch and (Bucket, Key) in self._objects:
            raise _error(412, "PreconditionFailed", "PutObject")
        path = self.place(Bucket, Key)
        if path.parent not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(path.parent)
        path.write_bytes(Body)
        self._metadata.pop(Key, None)
        etag = _etag(Body)
        self._objects[Bucket, Key] = bytes(Body), etag
        return {"ETag": etag}

    def get_object(self, *, Bucket: str, Key: str, Range: str = "", IfMatch: str = "") -> dict[str, Any]:  # noqa: N803
        """See boto3."""
        data, etag = self._found(Bucket, Key, "GetObject")
        if IfMatch and IfMatch != etag:
            raise _error(412, "PreconditionFailed", "GetObject")
        if Range:
            first, last = Range.removeprefix("bytes=").split("-")
            if int(first) >= len(data):
                raise _error(416, "InvalidRange", "GetObject")
            data = data[int(first) : int(last) + 1]
        return {"Body": StreamingBody(io.BytesIO(data), len(data)), "ContentLength": len(data), "ETag": etag}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        """See boto3."""
        data, etag = self._found(Bucket, Key, "HeadObject")
        return {"ContentLength": len(data), "ETag": etag, "Metadata": self._metadata.get(Key, {})}

    def delete_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        """See boto3."""
        if self._objects.pop((Bucket, Key), None) is not None:
            self.place(Bucket, Key).unlink()
        return {}

    def copy_object(self, *, Bucket: str, Key: str, CopySource: dict[str, str], **_: Any) -> dict[str, Any]:  # noqa: N803
        """See boto3."""
        data, etag = self._found(CopySource["Bucket"], CopySource["Key"], "CopyObject")
        self.put_object(Bucket=Bucket, Key=Key, Body=data)
        return {"CopyObjectResult": {"ETag": etag}}

    def list_objects_v2(self, *, Bucket: str, Prefix: str, ContinuationToken: str = "") -> dict[str, Any]:  # noqa: N803
        """See boto3; all on one page."""
        del ContinuationToken
        keys = sorted(key for bucket, key in self._objects if bucket == Bucket and key.startswith(Prefix))
        found = [(key, *self._objects[Bucket, key]) for key in keys]
        contents = [{"Key": key, "Size": len(data), "ETag": etag} for key, data, etag in found]
        return {"Contents": contents, "IsTruncated": False}

    def create_multipart_upload(self, *, Bucket: str, Key: str, Metadata: dict[str, str]) -> dict[str, str]:  # noqa: N803
        """See boto3."""
        upload = uuid.uuid4().hex
        self._uploads[upload] = (f"{Bucket}/{Key}", Metadata, {})
        return {"UploadId": upload}

    def upload_part(self, *, Bucket: str, Key: str, UploadId: str, PartNumber: int, Body: bytes) -> dict[str, str]:  # noqa: N803
        """See boto3."""
        del Bucket, Key
        self._upload(UploadId)[2][PartNumber] = Body
        return {"ETag": _etag(Body)}

    def complete_multipart_upload(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        UploadId: str,  # noqa: N803
        MultipartUpload: dict[str, Any],  # noqa: N803
        IfNoneMatch: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        """See boto3."""
        _, metadata, parts = self._upload(UploadId)
        body = b"".join(parts[part["PartNumber"]] for part in MultipartUpload["Parts"])
        answer = self.put_object(Bucket=Bucket, Key=Key, Body=body, IfNoneMatch=IfNoneMatch)
        self._metadata[Key] = metadata
        del self._uploads[UploadId]
        return answer

    def abort_multipart_upload(self, *, Bucket: str, Key: str, UploadId: str) -> dict[str, Any]:  # noqa: N803
        """See boto3."""
        del Bucket, Key
        self._upload(UploadId)
        del self._uploads[UploadId]
        return {}

    def list_multipart_uploads(self, *, Bucket: str, Prefix: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        """See boto3; all on one page."""
        names = {upload: place.removeprefix(f"{Bucket}/") for upload, (place, _, _) in self._uploads.items()}
        found = [{"Key": key, "UploadId": upload} for upload, key in names.items() if key.startswith(Prefix)]
        return {"Uploads": found, "IsTruncated": False}

    def _upload(self, upload: str) -> tuple[str, dict[str, str], dict[int, bytes]]:
        if upload not in self._uploads:
            raise _error(404, "NoSuchUpload", "UploadPart")
        return self._uploads[upload]

    def _found(self, bucket: str, key: str, operation: str) -> tuple[bytes, str]:
        found = self._objects.get((bucket, key))
        if found is None:
            raise _error(404, "404" if operation == "HeadObject" else "NoSuchKey", operation)
        return found


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _error(status: int, code: str, operation: str) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)
