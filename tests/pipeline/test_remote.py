"""Whole jobs on S3: what ails single objects, and what ails the place."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from arm_batch import open_dataset, pipeline
from arm_batch.cli import exit_codes, main
from arm_batch.errors import UsageError
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.verify import verify_store
from arm_batch.storage.open import open_store
from arm_batch.storage.s3.client import s3_client
from tests.archives import draw, job, silent, write_png


def errors(output: Path) -> dict[str, str | None]:
    table = open_dataset(str(output)).to_table(["path", "error"])
    return dict(zip(table["path"].to_pylist(), table["error"].to_pylist(), strict=True))


@pytest.fixture
def image(tmp_path: Path) -> bytes:
    write_png(tmp_path / "image.png", draw(0, 20, 30))
    return (tmp_path / "image.png").read_bytes()


@pytest.mark.parametrize("storage", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_to_be_restored(
    tmp_path: Path, s3_endpoint: str, s3_bucket: str, image: bytes, storage: Literal["GLACIER", "DEEP_ARCHIVE"]
) -> None:
    client = s3_client(s3_endpoint)
    client.put_object(Bucket=s3_bucket, Key="in/cold.png", Body=image, StorageClass=storage)
    client.put_object(Bucket=s3_bucket, Key="in/warm.png", Body=image)
    spec = job(f"s3://{s3_bucket}/in", tmp_path / "out", endpoint_url=s3_endpoint)
    assert pipeline.upscale(spec, silent).failed == 1
    told = errors(tmp_path / "out")
    assert told["warm.png"] is None
    assert str(told["cold.png"]).startswith("archived")
    assert str(told["cold.png"]).endswith("restore it first, then use --retry-failed")


def test_verify_tells_of_each_image_that_is_archived(
    tmp_path: Path, s3_endpoint: str, s3_bucket: str, image: bytes
) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(image)
    spec = job(tmp_path / "in", f"s3://{s3_bucket}/out", endpoint_url=s3_endpoint, sink="files")
    pipeline.upscale(spec, silent)
    client = s3_client(s3_endpoint)
    for name in ("a.png", "b.png"):
        key = f"out/images/{name}"
        client.copy_object(
            Bucket=s3_bucket,
            Key=key,
            CopySource={"Bucket": s3_bucket, "Key": key},
            StorageClass="GLACIER",
            MetadataDirective="COPY",
        )
    store = open_store(f"s3://{s3_bucket}/out", s3_endpoint)
    problems = [str(problem) for problem in verify_store(store, list_generations(store)).problems]
    assert sorted(name for name in ("a.png", "b.png") for line in problems if name in line) == ["a.png", "b.png"]
    assert all("archived" in line and "restore it first" in line for line in problems)


def test_a_list_with_lines_that_cannot_be_read(
    tmp_path: Path, s3_endpoint: str, s3_bucket: str, image: bytes
) -> None:
    s3_client(s3_endpoint).put_object(Bucket=s3_bucket, Key="a.png", Body=image)
    (tmp_path / "l.txt").write_text(f"s3://{s3_bucket}/a.png\ns3://a b/c.png\ngs://x/d.png\n/dev/zero\nimage.png")
    command = [
        "upscale",
        str(tmp_path / "l.txt"),
        str(tmp_path / "out"),
        "--budget",
        "50%",
        "--executor",
        "inline",
    ]
    with pytest.raises(SystemExit) as caught:
        main([*command, "--endpoint-url", s3_endpoint])
    assert caught.value.code == exit_codes.FAILED_IMAGES
    told = errors(tmp_path / "out")
    assert told.pop(f"{s3_bucket}/a.png") is None
    assert told.pop("image.png") is None
    assert told["a b/c.png"] == 'Invalid bucket name "a b"'
    assert told["dev/zero"] == "is a device, not a regular file"
    (unknown,) = (error for path, error in told.items() if path.startswith("gs"))
    assert str(unknown).startswith("gs://x/d.png: gs:// cannot be read")


def test_an_endpoint_that_nothing_is_at(tmp_path: Path, s3_endpoint: str, image: bytes) -> None:
    del image
    with pytest.raises(UsageError, match=f"the endpoint {s3_endpoint} is of no use: .* are no s3:// URLs"):
        pipeline.upscale(job(tmp_path, tmp_path.parent / "out", endpoint_url=s3_endpoint), silent)


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (["s3://a b/c", "OUT"], exit_codes.USAGE, "s3://a b/c: 'a b' is not what a bucket can be called"),
        (["s3://nowhere/c", "OUT"], exit_codes.USAGE, "s3://nowhere/c does not exist or is empty"),
        (
            ["IN", "s3://nowhere/c"],
            exit_codes.CRASH,
            "bucket does not exist: create the bucket or correct its name",
        ),
    ],
)
def test_one_line_says_what_is_wrong(
    tmp_path: Path,
    s3_endpoint: str,
    image: bytes,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    code: int,
    told: str,
) -> None:
    del image
    places = {"IN": str(tmp_path), "OUT": str(tmp_path.parent / "out")}
    with pytest.raises(SystemExit) as caught:
        main(["upscale", *(places.get(part, part) for part in command), "--endpoint-url", s3_endpoint])
    assert caught.value.code == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("arm-batch: ")
    assert line.endswith(told)
