"""Pictures whose tones nets would shift, through a whole job."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import arm_batch
from arm_batch import open_dataset, pipeline
from arm_batch.cli.forecast import forecast_lines
from arm_batch.core.large_images import LargeImages
from arm_batch.core.tiling.spoiled import DITHERED, THIN
from arm_batch.images import decode
from arm_batch.ray_data import Upscaler
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.verify import verify_store
from arm_batch.spec import DryRunSpec, PlanSpec
from arm_batch.storage.open import open_store
from tests.archives import LADDER, job, replanned, silent
from tests.image_files import saved, smooth

GREY = smooth(4, 128, 128, channels=1)
BITS = Image.fromarray(GREY[..., 0]).convert("1")


def blocks(pixels: np.ndarray, side: int) -> np.ndarray:
    height, width = pixels.shape[0] // side, pixels.shape[1] // side
    return np.asarray(np.mean(pixels[..., 0].astype(np.float64).reshape(height, side, width, side), axis=(1, 3)))


def test_they_keep_their_tones_and_cost_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bits.png").write_bytes(saved(BITS, "PNG"))
    (tmp_path / "in" / "grey.png").write_bytes(saved(GREY, "PNG"))
    output = tmp_path / "out"
    summary = pipeline.upscale(job(tmp_path / "in", output, budget="100%"), silent)
    rows = {row["path"]: row for row in open_dataset(str(output)).to_table().to_pylist()}
    bits, grey = rows["bits.png"], rows["grey.png"]
    assert (bits["notes"], bits["flops"], bits["tiles"], bits["psnr_predicted_db"]) == ([DITHERED], 0, 0, None)
    assert grey["notes"] == []
    assert grey["subnet_tiles"][-1] == grey["tiles"] > 0
    assert summary.spent_flops == summary.full_flops == grey["flops"]
    after = blocks(decode(bits["image"]["bytes"]).pixels, 32)
    before = blocks(np.asarray(BITS.convert("L"))[..., None], 8)
    assert np.abs(after - before).mean() < 5
    store = open_store(str(output))
    assert verify_store(store, list_generations(store)).problems == ()


def test_an_archive_of_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bits.png").write_bytes(saved(BITS, "PNG"))
    summary = pipeline.upscale(job(tmp_path / "in", tmp_path / "out", budget="20%"), silent)
    assert (summary.images, summary.failed, summary.spent_flops) == (1, 0, 0)


def test_in_a_stream_they_are_those_of_a_job(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bits.png").write_bytes(saved(BITS, "PNG"))
    pipeline.upscale(job(tmp_path / "in", tmp_path / "out", budget="20%"), silent)
    (row,) = open_dataset(str(tmp_path / "out")).to_table().to_pylist()
    done = Upscaler(LADDER, "20%")({"image": np.array([saved(BITS, "PNG"), saved(GREY, "PNG")], object)})
    assert done["image"][0] == row["image"]["bytes"]
    assert done["flops"][0] == 0
    assert done["flops"][1] > 0
    assert np.isnan(done["psnr_predicted_db"][0])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (2, 2), (40, 2)])
def test_thin_pictures_keep_their_tones_and_cost_nothing(height: int, width: int, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    ramp = (100 + np.add.outer(3 * np.arange(height), 2 * np.arange(width))).astype(np.uint8)
    (tmp_path / "in" / "thin.png").write_bytes(saved(ramp[..., None], "PNG"))
    (tmp_path / "in" / "more.png").write_bytes(saved(GREY, "PNG"))
    pipeline.upscale(job(tmp_path / "in", tmp_path / "out", budget="100%"), silent)
    rows = {row["path"]: row for row in open_dataset(str(tmp_path / "out")).to_table().to_pylist()}
    thin = rows["thin.png"]
    assert (thin["status"], thin["notes"], thin["flops"], thin["tiles"]) == ("ok", [THIN], 0, 0)
    assert rows["more.png"]["notes"] == []
    after = cv2.resize(decode(thin["image"]["bytes"]).pixels, (width, height), interpolation=cv2.INTER_AREA)
    assert np.abs(after.astype(float) - ramp).mean() < 2
    in_memory = arm_batch.Upscaler(LADDER, budget="100%")(ramp)
    np.testing.assert_array_equal(in_memory, decode(thin["image"]["bytes"]).pixels[..., 0])


@pytest.mark.parametrize("streamed", [False, True])
def test_so_are_large_images(streamed: bool, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bits.png").write_bytes(saved(BITS, "PNG"))
    (tmp_path / "in" / "grey.png").write_bytes(saved(GREY, "PNG"))
    large_images = LargeImages(pixels=1, streamed=1 if streamed else 2**26)
    spec = replanned(job(tmp_path / "in", tmp_path / "out", budget="100%"), large_images=large_images)
    pipeline.upscale(spec, silent)
    rows = {row["path"]: row for row in open_dataset(str(tmp_path / "out")).to_table().to_pylist()}
    bits, grey = rows["bits.png"], rows["grey.png"]
    assert (bits["status"], bits["notes"], bits["flops"], bits["tiles"]) == ("ok", [DITHERED], 0, 0)
    assert (grey["status"], grey["notes"]) == ("ok", [])
    assert grey["flops"] > 0
    store = open_store(str(tmp_path / "out"))
    assert verify_store(store, list_generations(store)).problems == ()


def test_a_dry_run_of_nothing_else_says_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bits.png").write_bytes(saved(BITS, "PNG"))
    asked = PlanSpec(input=str(tmp_path / "in"), ladder=LADDER, scale=4, executor="inline", workers=1)
    forecast = pipeline.plan(DryRunSpec(plan=asked, profiling=False), silent)
    assert (forecast.curve, forecast.failures, forecast.output_pixels.value) == ((), (), 16 * 128 * 128)
    assert any(
        "curve      none: all images are in two tones, dithered or thin" in line
        for line in forecast_lines(forecast)
    )
