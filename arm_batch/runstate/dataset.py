"""Reading an output while it grows or after it is done."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import boto3
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from arm_batch.errors import OutputError, StoreError
from arm_batch.runstate.commit import committed, visible_parts
from arm_batch.runstate.damage import REPAIR, damage_told
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.open import open_store
from arm_batch.storage.s3.store import S3Store


def open_dataset(output: str | os.PathLike[str], *, endpoint_url: str | None = None) -> pads.Dataset:
    """The rows that are committed in an output, as a `pyarrow.dataset.Dataset`.

    Its columns are those of `SCHEMA`, and behind them those that came along with the input.

    Neither parts that attempts left behind without committing them nor failed rows that a retry has replaced are
    among them.

    Args:
        output: folder or ``s3://`` prefix of a run.
        endpoint_url: of an S3 service other than AWS.

    Raises:
        OutputError: there is no run, or nothing is committed yet.
        StoreError: the store cannot be reached, a part is missing, or the first one is damaged.

    >>> import tempfile, numpy, PIL.Image, arm_batch
    >>> folder = tempfile.TemporaryDirectory()
    >>> ramp = numpy.arange(1200).reshape(40, 30) // 5
    >>> PIL.Image.fromarray(ramp.astype(numpy.uint8)).save(folder.name + "/ramp.png")
    >>> done = arm_batch.upscale(folder.name + "/ramp.png", folder.name + "/out", executor="inline")
    >>> rows = arm_batch.open_dataset(folder.name + "/out")
    >>> rows.to_table(["path", "status", "height", "width"]).to_pylist()
    [{'path': 'ramp.png', 'status': 'ok', 'height': 160, 'width': 120}]
    >>> folder.cleanup()
    """
    store = open_store(os.fspath(output), endpoint_url)
    parts = [part.key for part in visible_parts(committed(store).values())]
    if not parts:
        raise OutputError(f"{store.url} holds no output of arm-batch, or none that is committed")
    filesystem, root = _filesystem(store)
    # All parts of a run have the same columns.
    with damage_told(store, parts[0], REPAIR):
        try:
            return pads.dataset([f"{root}/{part}" for part in parts], None, "parquet", filesystem)
        except FileNotFoundError as error:
            missing = next((part for part in parts if part in str(error)), parts[0])
            raise StoreError(f"{store.url}/{missing} is missing; {REPAIR}") from error


def failures(url: str, endpoint_url: str | None, limit: int) -> list[tuple[str, str]]:
    """Path and error of the first `limit` failed images of an output; arguments as for `open_dataset`.

    Raises:
        StoreError: the store cannot be reached, or a file of failed rows is damaged.
    """
    store = open_store(url, endpoint_url)
    commits = committed(store)
    visible = {part.key for part in visible_parts(commits.values())}
    found: list[tuple[str, str]] = []
    for commit in commits.values():
        if len(found) < limit and commit.failed is not None and commit.failed.key in visible:
            with damage_told(store, commit.failed.key, REPAIR):
                data = pa.BufferReader(store.read(commit.failed.key))
                table = pq.read_table(data, columns=["path", "error"])
                found += [(row["path"], row["error"]) for row in table.to_pylist()]
    return found[:limit]


def _filesystem(store: ObjectStore) -> tuple[pafs.FileSystem, str]:
    if not isinstance(store, S3Store):
        return pafs.LocalFileSystem(), store.url.rstrip("/")
    session = boto3.session.Session()
    found = session.get_credentials()
    keys = found.get_frozen_credentials() if found else None
    # What boto3 resolves, so that AWS_ENDPOINT_URL counts here as it does for the job.
    endpoint = urlsplit(store.client.meta.endpoint_url)
    filesystem = pafs.S3FileSystem(
        access_key=keys.access_key if keys else None,
        secret_key=keys.secret_key if keys else None,
        session_token=keys.token if keys else None,
        anonymous=keys is None,
        region=session.region_name,
        scheme=endpoint.scheme,
        endpoint_override=endpoint.netloc,
    )
    return filesystem, f"{store.bucket}/{store.prefix}".rstrip("/")
