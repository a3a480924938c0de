"""Large images, with limits so low that small images are some: the same pixels as on the ordinary way."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arm_batch import open_dataset, pipeline
from arm_batch.core.image_options import Writing
from arm_batch.core.large_images import LargeImages
from arm_batch.core.tiling.grid import Upscaled, Windows
from arm_batch.images import Picture, decode, encode
from arm_batch.models.inference import Upscaler
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.rows import ImageRecord, StoredImage, from_table
from arm_batch.runstate.verify import Verification, verify_store
from arm_batch.spec import JobSpec, Resume, Sink
from arm_batch.storage.open import open_store
from tests.archives import NO_RESUME, draw, job, make_archive, replanned, silent, write_png

BANDED = LargeImages(pixels=1000, band_bytes=1)
"""Outputs in bands of one row of tiles, inputs at once."""

STREAMED = LargeImages(pixels=1000, streamed=1000, band_bytes=40_000)
"""Inputs of more than 1000 px in strips as well."""

SOME = LargeImages(pixels=70 * 80 * 16, streamed=70 * 80 * 4, band_bytes=1)
"""Large images among others in a shard, one of them read in strips."""


def image_of(row: ImageRecord) -> StoredImage:
    assert row.image is not None
    return row.image


def rows(output: Path | str, endpoint: str | None = None) -> dict[str, ImageRecord]:
    return {row.path: row for row in from_table(open_dataset(str(output), endpoint_url=endpoint).to_table())}


def stored(output: Path, row: ImageRecord) -> bytes:
    image = image_of(row)
    return image.bytes if image.bytes is not None else (output / image.path).read_bytes()


def run(
    archive: Path,
    output: Path,
    large_images: LargeImages,
    sink: Sink = "parquet",
    resume: Resume = NO_RESUME,
    **plan: Any,
) -> dict[str, ImageRecord]:
    pipeline.upscale(
        replanned(job(archive, output, sink=sink, resume=resume), large_images=large_images, **plan), silent
    )
    return rows(output)


def verified(output: Path | str, endpoint: str | None = None) -> Verification:
    """By decoding at once, after reading in strips has found the same."""
    store = open_store(str(output), endpoint)
    whole, streamed = (
        verify_store(store, list_generations(store), large_images) for large_images in (LargeImages(), STREAMED)
    )
    assert whole == streamed
    return whole


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_archive(tmp_path_factory.mktemp("archive"))
    with_alpha = Picture(pixels=draw(11, 100, 80), planes=draw(12, 100, 80, 1) | 1, has_alpha=True)
    (folder / "alpha.png").write_bytes(encode(with_alpha, "png"))
    (folder / "bands.tif").write_bytes(
        encode(Picture(pixels=draw(13, 70, 81), planes=draw(14, 70, 81, 3)), "tiff")
    )
    write_png(folder / "tall.png", draw(15, 700, 33))
    return folder


@pytest.fixture(scope="module")
def ordinary(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, ImageRecord]]:
    output = tmp_path_factory.mktemp("ordinary") / "out"
    return output, run(archive, output, LargeImages())


@pytest.mark.parametrize("large_images", [BANDED, STREAMED, SOME])
def test_giants_are_pixel_by_pixel_what_they_are_otherwise(
    archive: Path, ordinary: tuple[Path, dict[str, ImageRecord]], tmp_path: Path, large_images: LargeImages
) -> None:
    folder, expected = ordinary
    output = tmp_path / "out"
    found = run(archive, output, large_images)
    assert found.keys() == expected.keys()
    alone = {path for path, row in found.items() if image_of(row).bytes is None}
    assert alone == ({"a.png", "alpha.png", "bands.tif", "tall.png"} if large_images == SOME else found.keys())
    for path, row in found.items():
        if path in alone:
            assert image_of(row).path == f"images/{image_of(expected[path]).path}"
        ours, theirs = decode(stored(output, row)), decode(stored(folder, expected[path]))
        np.testing.assert_array_equal(ours.pixels, theirs.pixels)
        np.testing.assert_array_equal(ours.planes, theirs.planes)
        assert ours.has_alpha == theirs.has_alpha
        assert row == replace(expected[path], image=row.image, sha256=row.sha256)
    assert verified(output).problems == ()
    assert not list(output.glob(".arm-batch*"))
    # One by one, each into a file of its own: the same again.
    assert run(archive, tmp_path / "files", large_images, sink="files") == {
        path: replace(row, image=row.image if path in alone else rows(tmp_path / "files")[path].image)
        for path, row in found.items()
    }


def test_a_giant_that_is_broken_is_a_failed_row_and_the_rest_goes_on(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(archive, folder)
    whole = (folder / "tall.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    found = run(folder, tmp_path / "out", SOME)
    assert found["cut.png"].status == "failed"
    assert "cannot be decoded" in (found["cut.png"].error or "")
    assert found["tall.png"].status == "ok"
    assert verified(tmp_path / "out").problems == ()


def test_what_was_written_before_the_commit_does_not_count(archive: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    found = run(archive, output, SOME)
    for name in ("commits", "data", "manifest.json"):
        path = output / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    image = output / image_of(found["a.png"]).path
    # As if by another allocation.
    image.write_bytes(image.read_bytes() + b"\0")
    (output / ".arm-batch-scratch-0.tmp").write_bytes(b"left by a process that was killed")
    again = run(archive, output, SOME)
    assert again == found
    assert verified(output).problems == ()
    assert not list(output.glob(".arm-batch*"))


def die_in_a_large_image(spec: JobSpec, calls: int) -> None:
    """Run a job in a process that ends itself at a batch of an image that is written to scratch."""
    upscale = Upscaler.run
    left = calls

    def mortal(self: Upscaler, subnet: int, pieces: Sequence[Windows]) -> list[Upscaled]:
        nonlocal left
        left -= any(Path(spec.output).glob(".arm-batch-scratch-*"))
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return upscale(self, subnet, pieces)

    Upscaler.run = mortal  # type: ignore[method-assign]
    pipeline.upscale(spec, silent)


def test_a_kill_in_the_middle_costs_that_image_alone(archive: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    spec = replanned(job(archive, output, shard_images=1), large_images=SOME)
    process = multiprocessing.get_context("forkserver").Process(target=die_in_a_large_image, args=(spec, 12))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(list(output.glob(".arm-batch-scratch-*"))) == 1
    before = {path.name: path.stat().st_mtime_ns for path in (output / "images").iterdir()}
    assert before
    pipeline.upscale(spec, silent)
    assert {p.name: p.stat().st_mtime_ns for p in (output / "images").iterdir() if p.name in before} == before
    assert rows(output) == run(archive, tmp_path / "reference", SOME)
    assert verified(output).problems == ()
    assert not list(output.glob(".arm-batch*"))


def test_an_archive_of_nothing_but_giants_can_be_timed(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(archive / "tall.png", folder)
    pipeline.upscale(replanned(job(folder, tmp_path / "out", budget="10min"), large_images=SOME), silent)
    row = rows(tmp_path / "out")["tall.png"]
    assert row.status == "ok"
    assert row.subnet_tiles[-1] == row.tiles
    assert not list((tmp_path / "out").glob(".arm-batch*"))


def test_damage_is_found_and_repaired(archive: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    found = run(archive, output, SOME)
    image = output / image_of(found["tall.png"]).path
    data = bytearray(image.read_bytes())
    data[len(data) // 2] ^= 1
    image.write_bytes(data)
    assert ["SHA-256" in problem.what for problem in verified(output).problems] == [True]
    assert run(archive, output, SOME, resume=Resume(repair=True)) == found
    assert verified(output).problems == ()


def test_copies_share_the_file_of_a_giant(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.png", "tall.png"):
        shutil.copy(archive / name, folder / name)
        shutil.copy(archive / name, folder / f"{name}-again.png")
    found = run(folder, tmp_path / "out", SOME, dedup=True)
    assert found["tall.png-again.png"].image == found["tall.png"].image
    assert image_of(found["b.png-again.png"]).bytes == image_of(found["b.png"]).bytes
    assert [found[path].flops for path in found if "again" in path] == [0, 0, 0]
    assert verified(tmp_path / "out").problems == ()


def test_into_s3(archive: Path, tmp_path: Path, s3_bucket: str, s3_endpoint: str) -> None:
    output = f"s3://{s3_bucket}/out"
    spec = job(archive, output, endpoint_url=s3_endpoint)
    pipeline.upscale(replanned(spec, large_images=SOME), silent)
    assert verified(output, s3_endpoint).problems == ()
    found, local = rows(output, s3_endpoint), run(archive, tmp_path / "out", SOME)
    assert {path: row.sha256 for path, row in found.items()} == {path: row.sha256 for path, row in local.items()}


def test_a_format_that_cannot_be_written_in_strips_is_not_chosen(archive: Path, tmp_path: Path) -> None:
    found = run(archive, tmp_path / "out", SOME, writing=Writing("webp"))
    assert (found["tall.png"].format, found["b.png"].format) == ("tiff", "webp")
    assert image_of(found["tall.png"]).path == "images/tall.tif"
    assert found["tall.png"].notes == ("written as tiff: webp cannot be written in strips",)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("budget", ["50%", "3h"])
def test_ray_gives_the_same(archive: Path, tmp_path: Path, budget: str) -> None:
    expected = run(archive, tmp_path / "reference", SOME)
    spec = replanned(job(archive, tmp_path / "out", budget, executor="ray", shard_images=3), large_images=SOME)
    summary = pipeline.upscale(spec, silent)
    assert summary.failed == 0
    assert verified(tmp_path / "out").problems == ()
    if budget == "50%":
        found = rows(tmp_path / "out")
        whole = {path: row for path, row in expected.items() if image_of(row).bytes is None}
        assert {path for path, row in found.items() if image_of(row).bytes is None} == whole.keys()
