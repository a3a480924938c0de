"""The main job with models of the user's: the same bytes everywhere, an exact budget, an honest record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arm_batch
from arm_batch import open_dataset, pipeline, ray_data
from arm_batch.cli import main
from arm_batch.cli.summary import describe
from arm_batch.core.arrays import Pixels
from arm_batch.errors import LadderError, UsageError
from arm_batch.models import ladder_files
from arm_batch.models.checkpoint import sha256_of
from arm_batch.models.ladder_files import load_ladder
from arm_batch.spec import JobSpec
from tests.archives import draw, job, make_archive, replanned, silent
from tests.foreign_models import NEEDS_MODELS, build_foreign_ladder
from tests.fuzz.outputs import run_until

pytestmark = NEEDS_MODELS


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_archive(tmp_path_factory.mktemp("foreign") / "in")


@pytest.fixture(scope="module")
def ladder(archive: Path) -> Path:
    return build_foreign_ladder(archive.parent / "ladder")


def spec(archive: Path, ladder: Path, output: Path, budget: str = "45%") -> JobSpec:
    return replanned(job(archive, output, budget, shard_images=2), ladder=str(ladder), objective="mse")


def rows(output: Path) -> dict[str, dict[str, Any]]:
    table = open_dataset(str(output)).to_table()
    return {row["path"]: row for row in table.to_pylist()}


@pytest.fixture(scope="module")
def done(archive: Path, ladder: Path) -> Path:
    """Of one process, one after the other: the reference."""
    pipeline.upscale(spec(archive, ladder, archive.parent / "out"), silent)
    return archive.parent / "out"


def test_the_budget_is_exact_and_charged_by_the_counter(ladder: Path, done: Path) -> None:
    costs, found = load_ladder(ladder).ladder.costs, rows(done)
    tiles = np.array([row["subnet_tiles"] for row in found.values()])
    assert (tiles.sum(axis=0) > 0).sum() >= 3, tiles.sum(axis=0)
    assert [row["flops"] for row in found.values()] == (tiles @ costs).tolist()
    spent, full = int((tiles @ costs).sum()), int(tiles.sum() * costs[-1])
    assert 0.45 * full - int(np.diff(costs).max()) < spent <= 0.45 * full


def test_the_record_names_the_models_and_speaks_of_closeness(archive: Path, ladder: Path, done: Path) -> None:
    record = json.loads((done / "run.json").read_text())
    plain, middle, top = record["ladder"]["subnets"][1:]
    assert plain["origin"] is None
    assert middle["origin"] == {
        "sha256": sha256_of(ladder / "middle.onnx"),
        "architecture": "plain",
        "licence": "Apache-2.0",
    }
    assert top["name"] == record["reference"] == "x4-mine"
    assert top["origin"]["architecture"] == "RealESRGAN Compact 40nf 3nc"
    # There is no truth that a PSNR could be told of.
    assert {row["psnr_predicted_db"] for row in rows(done).values()} == {None}
    summary = pipeline.upscale(spec(archive, ladder, done), silent)
    (told,) = [line for line in describe(summary) if line.startswith("predicted")]
    assert told.endswith("dB (closeness of the pooled distance to x4-mine everywhere, from the LUT)")


def same_bytes(first: Path, second: Path) -> None:
    one, other = rows(first), rows(second)
    assert one.keys() == other.keys()
    for path, row in one.items():
        assert (row["sha256"], row["subnet_tiles"]) == (other[path]["sha256"], other[path]["subnet_tiles"]), path


def test_helpers_give_the_bytes_of_one_process(archive: Path, ladder: Path, done: Path, tmp_path: Path) -> None:
    pipeline.upscale(replanned(spec(archive, ladder, tmp_path / "out"), workers=2), silent)
    same_bytes(done, tmp_path / "out")


@pytest.mark.usefixtures("cluster")
def test_ray_gives_the_bytes_of_one_process(archive: Path, ladder: Path, done: Path, tmp_path: Path) -> None:
    pipeline.upscale(replanned(spec(archive, ladder, tmp_path / "out"), executor="ray"), silent)
    same_bytes(done, tmp_path / "out")


def test_a_run_that_was_broken_off_goes_on(archive: Path, ladder: Path, done: Path, tmp_path: Path) -> None:
    asked = spec(archive, ladder, tmp_path / "out")
    run_until(asked, "run", 2)
    assert not (tmp_path / "out" / "run.json").exists()
    pipeline.upscale(asked, silent)
    same_bytes(done, tmp_path / "out")


def test_no_worker_and_no_job_unpickles_a_model(ladder: Path) -> None:
    kept = {path.suffix for path in ladder.iterdir() if path.name not in ("ladder.json", "lut.json")}
    assert kept == {".safetensors", ".onnx"}


def test_a_model_that_is_another_is_refused(ladder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ladder"
    copy.mkdir()
    for path in ladder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "middle.onnx").write_bytes((copy / "middle.onnx").read_bytes() + b"\x00")
    with pytest.raises(LadderError, match=r"middle\.onnx is missing or not the file that ladder\.json names"):
        load_ladder(copy)


def test_a_missing_library_is_told_of_before_anything_is_written(
    archive: Path, ladder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise UsageError(f"{name} is not installed: `pip install 'arm-batch[models]'`")

    monkeypatch.setattr(ladder_files, "load_extra", missing)
    with pytest.raises(UsageError, match="is not installed"):
        pipeline.upscale(spec(archive, ladder, tmp_path / "out"), silent)
    assert not (tmp_path / "out").exists()


def test_the_dry_run_speaks_of_closeness(archive: Path, ladder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "plan",
                str(archive),
                "--ladder",
                str(ladder),
                "--executor",
                "inline",
                "--workers",
                "1",
                "--no-profiling",
            ]
        )
    assert not ended.value.code
    told = capsys.readouterr().out
    assert "mean closeness of images to x4-mine everywhere, from the LUT of ladder" in told
    assert "x4-mine everywhere" in told
    assert "PSNR" not in told


def test_arrays_and_ray_data_take_such_ladders(ladder: Path) -> None:
    image: Pixels = draw(3, 70, 90)
    done = arm_batch.Upscaler(arm_batch.load_ladder(ladder), budget="50%").upscale(image)
    assert (done.pixels.shape, done.psnr_predicted_db) == ((280, 360, 3), None)
    assert done.flops > 0
    np.testing.assert_array_equal(arm_batch.Upscaler(str(ladder), budget="50%")(image), done.pixels)
    batch = ray_data.Upscaler(str(ladder), budget="50%")({"image": image[None]})
    np.testing.assert_array_equal(batch["image"][0], done.pixels)
    assert np.isnan(batch["psnr_predicted_db"]).all()


def test_the_ladder_is_part_of_what_a_run_is(archive: Path, ladder: Path, done: Path) -> None:
    with pytest.raises(UsageError, match="ladder was"):
        pipeline.upscale(replace(spec(archive, ladder, done), plan=job(archive, done).plan), silent)
