"""Where INPUT and OUTPUT lie: in folders, in S3 without a network, or on a server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.fs as pafs
import pytest

import arm_batch.runstate.dataset as dataset_module
import arm_batch.storage.s3.store as s3_module
from arm_batch.storage.s3.client import s3_client
from tests.sequences.disk import Bucket, Disk, Folder
from tests.sequences.fake_s3 import FakeClient

_numbers = itertools.count()


@contextmanager
def places(root: Path, s3: bool, endpoint_url: str | None) -> Iterator[tuple[Disk, Disk]]:
    """INPUT and OUTPUT.

    Args:
        root: an empty folder for what is to lie on this disk.
        s3: whether they lie in S3.
        endpoint_url: of a server; without one S3 is played by a client without a network.
    """
    if not s3:
        yield Folder(root / "in", str(root / "in")), Folder(root / "out", str(root / "out"))
    elif endpoint_url is not None:
        client, bucket = s3_client(endpoint_url), f"sequences-{next(_numbers)}"
        client.create_bucket(Bucket=bucket)
        yield Bucket(client, bucket, "in"), Bucket(client, bucket, "out")
    else:
        fake = FakeClient(root)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(s3_module, "s3_client", lambda *_: fake)
            local = pafs.LocalFileSystem()
            patch.setattr(dataset_module, "_filesystem", lambda _: (local, f"{root}/bucket/out"))
            yield Bucket(fake, "bucket", "in"), Bucket(fake, "bucket", "out")
