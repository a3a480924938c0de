"""The whole job in process: output contract, budgets, continuing, S3, refusals."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from arm_batch import open_dataset, pipeline
from arm_batch.core.arrays import Pixels
from arm_batch.core.prediction.metrics import psnr
from arm_batch.core.progress import Progress
from arm_batch.errors import InputError, LadderError, OutputError, UsageError
from arm_batch.images import decode
from arm_batch.models.ladder_files import load_ladder
from arm_batch.spec import PlanSpec
from tests.archives import LADDER, LR_SIZES, draw, job, make_archive, replanned, silent, write_png


def read_rgb(path: Path) -> Pixels:
    return np.asarray(Image.open(path).convert("RGB"))


def test_rows_keep_the_output_contract(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    summary = pipeline.upscale(job(archive, tmp_path / "out"), silent)
    table = open_dataset(str(tmp_path / "out")).to_table()
    names = "id path status error width height scale channels bit_depth format image flops tiles subnet_tiles"
    rest = "psnr_predicted_db source_size source_etag sha256 notes copy_of"
    assert table.column_names == [*names.split(), *rest.split()]
    rows = {row["path"]: row for row in table.to_pylist()}
    assert rows.keys() == LR_SIZES.keys()
    for path, row in rows.items():
        height, width = LR_SIZES[path]
        assert (row["status"], row["error"], row["scale"], row["format"]) == ("ok", None, 4, "png")
        assert (row["height"], row["width"]) == (4 * height, 4 * width)
        assert row["tiles"] == sum(row["subnet_tiles"]) == -(-height // 32) * -(-width // 32)
        assert row["sha256"] == hashlib.sha256(row["image"]["bytes"]).hexdigest()
        assert row["source_size"] == (archive / path).stat().st_size
        before, after = (decode(data).pixels for data in ((archive / path).read_bytes(), row["image"]["bytes"]))
        assert after.shape == (4 * height, 4 * width, before.shape[2])
        assert after.dtype == before.dtype
        assert (row["channels"], row["bit_depth"]) == (before.shape[2], 8 * before.itemsize)
        assert row["notes"] == []
        assert 5 < row["psnr_predicted_db"] < 80
    assert summary.spent_flops == sum(row["flops"] for row in rows.values()) <= summary.budget_flops


def test_the_output_shows_the_input(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    pipeline.upscale(job(archive, tmp_path / "out", sink="files", budget="100%"), silent)
    for path, (height, width) in LR_SIZES.items():
        before = decode((archive / path).read_bytes()).pixels.astype(np.float64)
        after = decode((tmp_path / "out" / "images" / path).read_bytes()).pixels.astype(np.float64)
        averaged = after.reshape(height, 4, width, 4, -1).mean(axis=(1, 3))
        full = 65535 if path.startswith("sixteen") else 255
        # Noise is smoothed; what must not happen is a shift, a swap of channels or a missing tile.
        assert np.abs(averaged.mean(axis=(0, 1)) - before.mean(axis=(0, 1))).max() < 0.01 * full
        assert psnr(averaged / full * 255, before / full * 255) > 25


def test_run_json_records_the_run(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    summary = pipeline.upscale(job(archive, tmp_path / "out"), silent)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    ladder = load_ladder(LADDER).ladder
    assert record["run_id"] == summary.run_id
    assert record["ladder"]["sha256"] == ladder.digest
    tiles = np.array(record["allocation"]["tiles"])
    assert (tiles.sum(axis=0) @ ladder.costs) == record["allocation"]["spend_flops"] == record["spent_flops"]
    assert (
        dict(zip([s.name for s in ladder.subnets], tiles.sum(axis=0).tolist(), strict=True))
        == record["subnet_tiles"]
    )
    assert record["versions"]["torch"]
    parts = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out" / "data").iterdir())
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert sorted(part["key"] for part in manifest["parts"]) == parts
    assert manifest["rows"] == 7
    assert manifest["spent_flops"] == summary.spent_flops


def test_the_sink_files_mirrors_the_tree_and_leaves_the_rows_without_bytes(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    pipeline.upscale(job(archive, tmp_path / "out", sink="files"), silent)
    for row in open_dataset(str(tmp_path / "out")).to_table().to_pylist():
        assert row["image"]["bytes"] is None
        data = (tmp_path / "out" / row["image"]["path"]).read_bytes()
        assert row["image"]["path"] == f"images/{row['path']}"
        assert row["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_second_start_of_the_same_run_does_nothing_again(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    first = pipeline.upscale(job(archive, tmp_path / "out", shard_images=2), silent)
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "data").iterdir()}
    second = pipeline.upscale(job(archive, tmp_path / "out", shard_images=2), silent)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "data").iterdir()} == files
    assert msgspec.structs.replace(second, timings=first.timings, ran=first.ran) == first


def test_a_run_that_was_broken_off_is_finished_with_the_same_rows(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")

    def stop(progress: Progress) -> None:
        if progress.stage == "run" and progress.shards_done == 2:
            raise KeyboardInterrupt

    whole = pipeline.upscale(job(archive, tmp_path / "whole", shard_images=2), silent)
    with pytest.raises(KeyboardInterrupt):
        pipeline.upscale(job(archive, tmp_path / "out", shard_images=2), stop)
    assert not (tmp_path / "out" / "run.json").exists()
    finished = pipeline.upscale(job(archive, tmp_path / "out", shard_images=2), silent)
    assert finished.spent_flops == whole.spent_flops
    tables = [open_dataset(str(tmp_path / name)).to_table().sort_by("path") for name in ("whole", "out")]
    assert tables[0].equals(tables[1])


def test_parquet_in_gives_the_images_of_files_in(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    pipeline.upscale(job(archive, tmp_path / "once", budget="100%"), silent)
    images = [{"bytes": (archive / p).read_bytes(), "path": p} for p in sorted(LR_SIZES)]
    (tmp_path / "parquet").mkdir()
    pq.write_table(pa.table({"image": images}), tmp_path / "parquet" / "all.parquet")
    pipeline.upscale(job(tmp_path / "parquet", tmp_path / "twice", budget="100%"), silent)
    columns = ["path", "sha256", "source_size"]
    once, twice = (
        open_dataset(str(tmp_path / name)).to_table(columns).sort_by("path").to_pylist()
        for name in ("once", "twice")
    )
    assert once == twice


def test_s3_in_and_out(tmp_path: Path, s3_endpoint: str, s3_bucket: str) -> None:
    archive = make_archive(tmp_path / "in")
    client = boto3.session.Session().client("s3", endpoint_url=s3_endpoint)
    for path in LR_SIZES:
        client.put_object(Bucket=s3_bucket, Key=f"archive/{path}", Body=(archive / path).read_bytes())
    pipeline.upscale(job(archive, tmp_path / "out"), silent)
    remote = job(f"s3://{s3_bucket}/archive", f"s3://{s3_bucket}/out", endpoint_url=s3_endpoint)
    pipeline.upscale(remote, silent)
    columns = ["path", "sha256", "flops", "image"]
    local = open_dataset(str(tmp_path / "out")).to_table(columns).sort_by("path")
    assert open_dataset(remote.output, endpoint_url=s3_endpoint).to_table(columns).sort_by("path").equals(local)


def test_what_makes_no_sense_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    good = job(archive, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    file = tmp_path / "file"
    file.touch()
    for spec, error in [
        (replanned(good, input=str(tmp_path / "missing")), InputError),
        (replanned(good, input=str(tmp_path / "empty")), InputError),
        (replanned(good, ladder=str(tmp_path / "missing")), LadderError),
        (replanned(good, scale=2), LadderError),
        (replace(good, output=str(archive / "out")), InputError),
        (replace(good, output=str(archive)), UsageError),
        (replace(good, output=str(file)), OutputError),
        (replace(good, output=str(file / "out")), OutputError),
        (replace(good, output="/proc/none/out"), OutputError),
    ]:
        with pytest.raises(error) as caught:
            pipeline.upscale(spec, silent)
        assert "\n" not in str(caught.value)
        assert "probe" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert not (archive / "out").exists()


def test_the_output_of_another_run_is_refused_naming_what_differs(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    pipeline.upscale(job(archive, tmp_path / "out", budget="50%"), silent)
    before = sorted((p, p.read_bytes()) for p in (tmp_path / "out").rglob("*") if p.is_file())
    with pytest.raises(OutputError, match=r"is '60%'\. Go on as it was begun"):
        pipeline.upscale(job(archive, tmp_path / "out", budget="60%"), silent)
    assert sorted((p, p.read_bytes()) for p in (tmp_path / "out").rglob("*") if p.is_file()) == before
    # The same, written otherwise.
    pipeline.upscale(job(archive, tmp_path / "out", budget="50.0 %"), silent)


@pytest.mark.parametrize(
    ("asked", "name", "scale"),
    [({}, "archive-x4", 4), ({"scale": 2}, "fsrcnn-x2", 2), ({"ladder": "fsrcnn-x2"}, "fsrcnn-x2", 2)],
)
def test_a_scale_brings_its_ladder_and_a_ladder_its_scale(
    asked: dict[str, Any], name: str, scale: int, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    write_png(tmp_path / "in" / "a.png", draw(0, 20, 24))
    spec = PlanSpec(input=str(tmp_path / "in"), executor="inline", runtime="torch", **asked)
    assert spec.ladder_name == name
    given = job(tmp_path / "in", tmp_path / "out", sink="files")
    pipeline.upscale(replace(given, plan=spec), silent)
    assert read_rgb(tmp_path / "out" / "images" / "a.png").shape == (20 * scale, 24 * scale, 3)
    with pytest.raises(UsageError, match="no ladder for x3 is shipped, only for x2 or x4: give one with --ladder"):
        PlanSpec(input="in", scale=3)


def test_a_folder_with_other_things_in_it_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="not empty"):
        pipeline.upscale(job(make_archive(tmp_path / "in"), tmp_path / "out"), silent)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_set14_keeps_every_budget_and_gains_from_a_larger_one(validation_data: Path, tmp_path: Path) -> None:
    folder = validation_data / "Set14"
    costs = load_ladder(LADDER).ladder.costs
    largest_step = int(np.diff(costs).max())
    quality = []
    for percent in (10, 25, 50, 100):
        output = tmp_path / str(percent)
        summary = pipeline.upscale(job(folder / "LRx4", output, budget=f"{percent}%", sink="files"), silent)
        assert summary.failed == 0
        assert summary.budget_flops - largest_step < summary.spent_flops <= summary.budget_flops
        values = []
        for path in sorted((folder / "LRx4").iterdir()):
            lr, hr, sr = (read_rgb(p) for p in (path, folder / "HR" / path.name, output / "images" / path.name))
            assert sr.shape == (4 * lr.shape[0], 4 * lr.shape[1], 3)
            values.append(psnr(sr, hr[: sr.shape[0], : sr.shape[1]], shave=4))
        quality.append(np.mean(values))
    print("Set14, PSNR (RGB) at 10, 25, 50, 100 %:", " ".join(f"{q:.3f}" for q in quality))
    assert quality == sorted(quality)
