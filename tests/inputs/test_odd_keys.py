"""S3 keys may hold anything: each is listed and read, or told of."""

from __future__ import annotations

from pathlib import Path

import pytest

from arm_batch import open_dataset, pipeline
from arm_batch.inputs.listing import list_store
from arm_batch.inputs.sources import Source
from arm_batch.storage.base import is_safe_key
from arm_batch.storage.s3.client import s3_client
from arm_batch.storage.s3.store import S3Store
from tests.archives import draw, job, silent, write_png

ODD = [
    "a b.png",
    " .png ",
    "a+b%2Fc%.png",
    "100%25.png",
    "q?x=1#frag&y.png",
    "ü/日本.png",
    "u\u0308.png",
    "'\"<>|*:\\.png",
    "tab\there\x7f.png",
    "x//y.png",
    "/z.png",
    "//z.png",
    "n" * 900 + ".png",
    "d" * 300 + "/a.png",
    "~/[a].png",
    "emoji-🙂.png",
]


@pytest.fixture
def store(s3_endpoint: str, s3_bucket: str) -> S3Store:
    return S3Store(bucket=s3_bucket, prefix="p q", endpoint_url=s3_endpoint)


def put(store: S3Store, key: str, data: bytes) -> None:
    s3_client(store.endpoint_url).put_object(Bucket=store.bucket, Key=f"{store.prefix}/{key}", Body=data)


def test_every_key_is_listed_once_and_read(store: S3Store) -> None:
    for key in ODD:
        put(store, key, key.encode())
    put(store, "folder/", b"")
    put(store, "folder.png/", b"")
    put(store, ".hidden.png", b"")
    found = list_store(store)
    images = [key for key in ODD if key.endswith(".png")]
    assert sorted(Source(store).read(entry).decode() for entry in found.entries) == sorted(images)
    assert len({entry.path for entry in found.entries}) == len(images)
    assert all(is_safe_key(entry.path) for entry in found.entries)
    assert {entry.key for entry in found.entries if entry.path != entry.key} == {"x//y.png", "/z.png", "//z.png"}
    assert found.skipped == (
        "files: 1 of other kinds (.png  1)",
        "1 files or folders whose names begin with a dot",
    )


@pytest.mark.slow
def test_more_than_a_page(store: S3Store) -> None:
    keys = [f"{number:04d} +%.png" for number in range(1050)]
    for key in keys:
        put(store, key, b"x")
    assert [entry.key for entry in list_store(store).entries] == keys


def test_odd_keys_end_as_rows_and_files(store: S3Store, tmp_path: Path) -> None:
    write_png(tmp_path / "x.png", draw(0, 6, 7))
    data = (tmp_path / "x.png").read_bytes()
    for key in ODD:
        put(store, key, data)
    spec = job(store.url, tmp_path / "out", sink="files", endpoint_url=store.endpoint_url)
    summary = pipeline.upscale(spec, silent)
    assert (summary.images, summary.failed) == (len(ODD) - 1, 0)
    for row in open_dataset(str(tmp_path / "out")).to_table(["image"]).to_pylist():
        assert (tmp_path / "out" / row["image"]["path"]).is_file()
    remote = job(store.url, f"s3://{store.bucket}/out", sink="files", endpoint_url=store.endpoint_url)
    assert pipeline.upscale(remote, silent).failed == 0
