"""The output, read by what people read such things with."""

from __future__ import annotations

import io
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import duckdb
import numpy as np
import pandas as pd
import pytest
import ray
from PIL import Image
from ray.data.expressions import col

from arm_batch import pipeline
from arm_batch.images import decode
from arm_batch.spec import Sink
from tests.archives import LR_SIZES, job, make_archive, silent


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with the images in its rows, one of them failed."""
    return run(tmp_path_factory.mktemp("parquet"), "parquet")


def run(folder: Path, sink: Sink) -> Path:
    archive = make_archive(folder / "in")
    (archive / "broken.png").write_bytes(b"no image")
    pipeline.upscale(replace(job(archive, folder / "out", shard_images=3), sink=sink), silent)
    return folder / "out"


def sizes(paths: list[str], images: list[bytes]) -> dict[str, tuple[int, int]]:
    shapes = (decode(data).pixels.shape for data in images)
    return {path: (shape[0] // 4, shape[1] // 4) for path, shape in zip(paths, shapes, strict=True)}


def test_pandas(output: Path) -> None:
    frame = pd.read_parquet(output / "data")
    assert len(frame) == len(LR_SIZES) + 1
    assert frame.set_index("path").loc["broken.png", "error"] == "not an image in a known format"
    done = frame[frame.status == "ok"]
    assert sizes(list(done.path), [image["bytes"] for image in done.image]) == LR_SIZES


def queried(query: str) -> list[tuple[Any, ...]]:
    relation = duckdb.sql(query)
    assert relation is not None
    return relation.fetchall()


def test_duckdb(output: Path) -> None:
    rows = queried(f"select path, image.bytes from '{output}/data/*.parquet' where status = 'ok' and flops > 0")
    assert sizes([path for path, _ in rows], [data for _, data in rows]) == LR_SIZES
    ((spent, errors),) = queried(f"select sum(flops), count(error) from '{output}/data/*.parquet'")
    assert spent > 0
    assert errors == 1


@pytest.mark.slow
def test_ray_data(output: Path) -> None:
    ray.init(address="local", num_cpus=1, include_dashboard=False, logging_level=logging.ERROR)
    try:
        rows = ray.data.read_parquet(str(output / "data")).filter(expr=col("status") == "ok").take_all()
    finally:
        ray.shutdown()
    assert sizes([row["path"] for row in rows], [row["image"]["bytes"] for row in rows]) == LR_SIZES


def test_hugging_face_datasets_reads_tars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    output = run(tmp_path, "webdataset")
    loaded = datasets.load_dataset(
        "webdataset",
        data_files=[str(path) for path in sorted((output / "tars").iterdir())],
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    found = {row["json"]["path"]: np.asarray(row["png"]) for row in loaded}
    assert {path: (image.shape[0] // 4, image.shape[1] // 4) for path, image in found.items()} == LR_SIZES


def test_pillow_opens_what_is_in_a_row(output: Path) -> None:
    image = pd.read_parquet(output / "data").set_index("path").loc["a.png", "image"]
    with Image.open(io.BytesIO(image["bytes"])) as opened:
        assert (opened.size[1] // 4, opened.size[0] // 4) == LR_SIZES["a.png"]
