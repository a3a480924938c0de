"""Upscaling as a step of a Ray Data pipeline."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from arm_batch import pipeline
from arm_batch.core.image_options import Writing
from arm_batch.errors import BudgetError, LadderError, UsageError
from arm_batch.images import Picture, decode, encode
from arm_batch.ray_data import Upscaler
from arm_batch.runstate.dataset import open_dataset
from tests.archives import LADDER, LR_SIZES, draw, job, make_archive, silent

SIZES = [(40, 50), (33, 64), (64, 40)]


def objects(values: list[Any]) -> Any:
    column = np.empty(len(values), object)
    for position, value in enumerate(values):
        column[position] = value
    return column


def test_files_come_out_as_those_of_a_job(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    paths = sorted(LR_SIZES)
    batch = {
        "image": objects([{"bytes": (archive / path).read_bytes(), "path": path} for path in paths]),
        "label": np.arange(len(paths)),
    }
    done = Upscaler(LADDER, "40%")(batch)
    pipeline.upscale(job(archive, tmp_path / "out", budget="40%"), silent)
    rows = {row["path"]: row for row in open_dataset(str(tmp_path / "out")).to_table().to_pylist()}
    assert done["label"].tolist() == list(range(len(paths)))
    assert done["error"].tolist() == [None] * len(paths)
    for image, flops, predicted in zip(done["image"], done["flops"], done["psnr_predicted_db"], strict=True):
        row = rows[image["path"]]
        assert image["bytes"] == row["image"]["bytes"]
        assert (flops, predicted) == (row["flops"], row["psnr_predicted_db"])


@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("depth", [8, 16])
def test_arrays_keep_their_kind(channels: int, depth: int) -> None:
    arrays = [draw(seed, *size, max(channels, 1), depth) for seed, size in enumerate(SIZES)]
    if channels == 0:
        arrays = [array[..., 0] for array in arrays]
    done = Upscaler()({"image": objects(arrays)})
    for before, after in zip(arrays, done["image"], strict=True):
        assert (after.dtype, after.ndim) == (before.dtype, before.ndim)
        assert after.shape[:2] == (4 * before.shape[0], 4 * before.shape[1])
        assert after.shape[2:] == before.shape[2:]


def test_images_of_one_shape_are_one_array() -> None:
    arrays = np.stack([draw(seed, 40, 40) for seed in range(3)])
    done = Upscaler()({"picture": arrays} | {"image": arrays})
    assert done["image"].shape == (3, 160, 160, 3)
    assert done["picture"] is arrays


def test_what_cannot_be_upscaled_is_told_and_the_others_go_on() -> None:
    good = encode(Picture.plain(draw(0, 30, 30)), "png")
    done = Upscaler()({"image": objects([b"no image", good, None, good[:100]])})
    assert [error is None for error in done["error"]] == [False, True, False, False]
    assert done["error"][2] == "there is no image in this row"
    assert [image is None for image in done["image"]] == [True, False, True, True]
    assert decode(done["image"][1]).pixels.shape == (120, 120, 3)
    assert (
        (done["flops"] > 0).tolist()
        == np.isfinite(done["psnr_predicted_db"]).tolist()
        == [False, True, False, False]
    )
    arrays = Upscaler()({"image": objects([np.zeros((4, 4, 3)), np.zeros((5, 5, 7), np.uint8)])})
    assert [image.size for image in arrays["image"]] == [0, 0]
    assert list(arrays["error"]) == [
        "is no image: float64 of shape (4, 4, 3); uint8 or uint16, (h, w) or (h, w, c)",
        "has 7 channels: 1 to 4 are taken",
    ]


def test_the_budget_of_a_batch_is_kept() -> None:
    arrays = objects([draw(seed, 160, 160) for seed in range(4)])
    full = Upscaler(budget="100%")({"image": arrays})["flops"].sum()
    spent = Upscaler(budget="50%")({"image": arrays})["flops"].sum()
    assert 0.49 * full < spent <= 0.5 * full


def test_files_are_written_as_asked() -> None:
    jpeg = encode(Picture.plain(draw(0, 30, 30)), "jpeg")
    kept, told = (
        Upscaler(writing=writing)({"image": objects([jpeg])})["image"][0]
        for writing in (Writing(), Writing(format="webp"))
    )
    assert [decode(data).format for data in (kept, told)] == ["jpeg", "webp"]


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"budget": "2PFLOP"}, BudgetError, "not a share"),
        ({"budget": "pool:x"}, BudgetError, "not a share"),
        ({"budget": "0.1%"}, BudgetError, "less than interpolation alone needs"),
        ({"ladder": "no-such"}, LadderError, "no-such"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        Upscaler(**options)


def test_a_missing_column_is_told() -> None:
    with pytest.raises(UsageError, match="no column 'image' of images; there are: picture"):
        Upscaler()({"picture": np.zeros(3)})


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (np.zeros((40, 50, 3), np.uint8), "is one image"),
        (np.zeros((40, 50), np.uint8), "is one image"),
        (np.zeros((40, 50, 3)), "is one image"),
        (None, "is a NoneType"),
        (b"png", "is a bytes"),
    ],
)
def test_one_image_in_place_of_a_batch_is_refused(column: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Upscaler()({"image": column})


@pytest.mark.slow
def test_a_pipeline(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR)
    try:
        images = ray.data.read_images(str(archive), include_paths=True, mode="RGB")
        done = images.map_batches(
            Upscaler, fn_constructor_kwargs={"budget": "40%"}, batch_size=4, num_cpus=1, concurrency=1
        )
        found = {Path(row["path"]).relative_to(archive).as_posix(): row for row in done.take_all()}
    finally:
        ray.shutdown()
    assert {path: tuple(side // 4 for side in row["image"].shape[:2]) for path, row in found.items()} == LR_SIZES
    assert all(row["error"] is None and row["flops"] > 0 for row in found.values())
