"""World files beside inputs become world files beside outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arm_batch import open_dataset, pipeline
from arm_batch.core.image_options import Writing
from arm_batch.core.large_images import LargeImages
from arm_batch.execution.world_files import LEFT_OUT
from arm_batch.inputs.world_files import enlarged_world, parse_world, read_world, world_text
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.verify import verify_store
from arm_batch.storage.local import LocalStore
from arm_batch.storage.open import open_store
from tests.archives import job, replanned, silent
from tests.image_files import saved, smooth
from tests.metadata.test_geotiff import AREA, SAID, geotiff, keys

PIXELS = smooth(5, 30, 40)
TURNED = (0.4, 0.3, 0.2, -0.5, 5e5, 46e5)


def upscaled(folder: Path, files: dict[str, bytes], sink: Any = "files", **options: Any) -> dict[str, Any]:
    for name, data in files.items():
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    spec = replanned(job(folder / "in", folder / "out", budget="5%", sink=sink), **options)
    pipeline.upscale(spec, silent)
    store = open_store(str(folder / "out"))
    assert verify_store(store, list_generations(store)).problems == ()
    return {row["path"]: row for row in open_dataset(str(folder / "out")).to_table().to_pylist()}


def place(world: tuple[float, ...], column: float, row: float) -> np.ndarray:
    """Of a point that is counted from the corner of the first pixel."""
    a, d, b, e, x, y = world
    return np.array([a * (column - 0.5) + b * (row - 0.5) + x, d * (column - 0.5) + e * (row - 0.5) + y])


def test_points_stay_where_they_are(tmp_path: Path) -> None:
    files = {"sea/a.png": saved(PIXELS, "PNG"), "sea/a.pgw": world_text(TURNED)}
    rows = upscaled(tmp_path, files | {"b.JPG": saved(PIXELS, "JPEG"), "b.JGW": world_text(TURNED)})
    assert {path: row["notes"] for path, row in rows.items()} == {"sea/a.png": [], "b.JPG": []}
    for name in ("sea/a.pgw", "b.jgw"):
        after = parse_world((tmp_path / "out" / "images" / name).read_text())
        assert after is not None
        np.testing.assert_allclose(place(after, 4 * 7.0, 4 * 3.0), place(TURNED, 7.0, 3.0))


@pytest.mark.parametrize("sink", ["parquet", "webdataset"])
def test_where_outputs_are_no_files_it_is_left_out(tmp_path: Path, sink: str) -> None:
    rows = upscaled(tmp_path, {"a.png": saved(PIXELS, "PNG"), "a.wld": world_text(TURNED)}, sink)
    assert rows["a.png"]["notes"] == [LEFT_OUT]


def test_of_large_images_it_lies_beside_them_whatever_the_sink(tmp_path: Path) -> None:
    files = {"a.tif": saved(PIXELS, "TIFF"), "a.tfw": world_text(TURNED)}
    upscaled(tmp_path, files, "parquet", large_images=LargeImages(pixels=1, streamed=1))
    after = parse_world((tmp_path / "out" / "images" / "a.tfw").read_text())
    assert after == pytest.approx(enlarged_world(TURNED, 4))


def test_a_georeference_that_an_output_cannot_hold(tmp_path: Path) -> None:
    rows = upscaled(tmp_path, {"a.tif": geotiff(*SAID["scale"], keys(AREA))}, writing=Writing("png"))
    assert rows["a.tif"]["notes"] == ["its georeference is left out: png holds none", "where it lies says a.pgw"]
    after = parse_world((tmp_path / "out" / "images" / "a.pgw").read_text())
    assert after == pytest.approx((0.125, 0, 0, -0.0625, 5e5 + 0.0625, 46e5 - 0.03125))


def test_what_makes_no_sense_is_left_out(tmp_path: Path) -> None:
    rows = upscaled(tmp_path, {"a.png": saved(PIXELS, "PNG"), "a.pgw": b"1\n2\nthree\n"})
    assert rows["a.png"]["notes"] == ["its world file cannot be read and is left out"]
    assert not (tmp_path / "out" / "images" / "a.pgw").exists()
    for text in ("", "1 2 3 4 5", "1 2 3 4 5 inf"):
        assert parse_world(text) is None


@pytest.mark.parametrize("name", ["a.tfw", "a.tifw", "a.wld"])
def test_what_it_may_be_called(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("1")
    assert read_world(LocalStore(str(tmp_path)), "a.tif") == "1"
    assert read_world(LocalStore(str(tmp_path)), "b.tif") is None
