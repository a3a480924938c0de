"""Where pixels lie on earth is where their parts lie afterwards."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from arm_batch import open_dataset, pipeline
from arm_batch.core.image_options import Reading, Writing
from arm_batch.core.large_images import LargeImages
from arm_batch.images import decode
from arm_batch.images.streaming import StripWriter, canvas_of, open_strips
from arm_batch.metadata.geotiff import affine
from tests.archives import job, replanned, silent
from tests.image_files import exif, saved, smooth, tiff

SCALE, TIES, MATRIX, KEYS, TEXTS, GDAL, NO_DATA, RPC = 33550, 33922, 34264, 34735, 34737, 42112, 42113, 50844
DOUBLE, SHORT, ASCII = 12, 3, 2
AREA, POINT = 1, 2
PIXELS = smooth(5, 30, 40)


def keys(raster: int) -> tuple[Any, ...]:
    values = (1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, raster)
    return (KEYS, SHORT, len(values), values, False)


def doubles(tag: int, *values: float) -> tuple[Any, ...]:
    return (tag, DOUBLE, len(values), values, False)


def text(tag: int, value: str) -> tuple[Any, ...]:
    return (tag, ASCII, 0, value, False)


def geotiff(*tags: tuple[Any, ...], pixels: np.ndarray = PIXELS, **options: Any) -> bytes:
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    return tiff(pixels, photometric=photometric, extratags=tags, **options)


def tags_of(data: bytes) -> dict[int, Any]:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        return {tag.code: tag.value for tag in page.tags}


def places(tags: dict[int, Any], columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Of points that are counted from the corner of the first pixel, by what tags say: ``(n, 2)``."""
    points = tags[KEYS][-1] == POINT
    x, y = (columns - 0.5, rows - 0.5) if points else (columns, rows)
    if MATRIX in tags:
        matrix = np.array(tags[MATRIX]).reshape(4, 4)
        return np.asarray((np.stack([x, y, 0 * x, 0 * x + 1], axis=1) @ matrix.T)[:, :2])
    i, j, _, east, north, _ = tags[TIES][:6]
    across, down = tags[SCALE][:2]
    return np.stack([east + (x - i) * across, north - (y - j) * down], axis=1)


def upscaled(folder: Path, data: bytes, **options: Any) -> tuple[bytes, list[str]]:
    (folder / "in").mkdir()
    (folder / "in" / "a.tif").write_bytes(data)
    spec = replanned(job(folder / "in", folder / "out", budget="5%"), **options)
    pipeline.upscale(spec, silent)
    (row,) = open_dataset(str(folder / "out")).to_table().to_pylist()
    assert row["status"] == "ok"
    return row["image"]["bytes"], row["notes"]


SAID = {
    "scale": [doubles(SCALE, 0.5, 0.25, 0), doubles(TIES, 0, 0, 0, 5e5, 46e5, 0)],
    "scale and a tie point inside": [doubles(SCALE, 0.5, 0.25, 2), doubles(TIES, 7, 3, 0, 5e5, 46e5, 9)],
    "transformation": [doubles(MATRIX, 0.4, 0.3, 0, 5e5, 0.3, -0.4, 0, 46e5, 0, 0, 0, 0, 0, 0, 0, 1)],
}


@pytest.mark.parametrize("raster", [AREA, POINT])
@pytest.mark.parametrize("name", SAID)
@pytest.mark.parametrize("kind", [{}, {"bigtiff": True, "byteorder": ">"}], ids=["small", "big-endian BigTIFF"])
def test_points_stay_where_they_are(tmp_path: Path, name: str, raster: int, kind: dict[str, Any]) -> None:
    data = geotiff(*SAID[name], keys(raster), text(TEXTS, "WGS 84|"), text(GDAL, "<GDALMetadata/>"), **kind)
    before = tags_of(data)
    written, notes = upscaled(tmp_path, data)
    after = tags_of(written)
    columns, rows = np.random.default_rng(0).uniform(0, 30, (2, 9))
    np.testing.assert_allclose(places(after, 4 * columns, 4 * rows), places(before, columns, rows), atol=1e-6)
    for tag in (KEYS, TEXTS, GDAL):
        assert after[tag] == before[tag]
    assert notes == []
    assert decode(written).metadata.geo is not None


def test_tie_points_without_a_scale_and_rational_coefficients(tmp_path: Path) -> None:
    ties = np.random.default_rng(1).uniform(0, 30, (4, 6))
    rational = np.arange(92.0)
    data = geotiff(doubles(TIES, *ties.ravel()), doubles(RPC, *rational), keys(AREA))
    after = tags_of(upscaled(tmp_path, data)[0])
    np.testing.assert_allclose(np.array(after[TIES]).reshape(-1, 6), ties * [4, 4, 1, 1, 1, 1])
    expected = rational.copy()
    # Of the middle of the first pixel, 0, the part that lies there is between the second and the third.
    expected[[2, 3, 7, 8]] = [4 * 2 + 1.5, 4 * 3 + 1.5, 4 * 7, 4 * 8]
    np.testing.assert_allclose(after[RPC], expected)


def test_the_level_of_no_data_goes_where_it_is_told(tmp_path: Path) -> None:
    written, notes = upscaled(tmp_path, geotiff(*SAID["scale"], keys(AREA), text(NO_DATA, "0")))
    assert tags_of(written)[NO_DATA] == "0"
    assert notes == ["pixels of no data (0) are upscaled like others: at their edges levels lie between"]


def test_the_level_of_no_data_of_floats_is_left_out(tmp_path: Path) -> None:
    floats = (PIXELS[..., 0] / 255).astype(np.float32)
    data = geotiff(*SAID["scale"], keys(AREA), text(NO_DATA, "-9999"), pixels=floats)
    written, notes = upscaled(tmp_path, data, reading=Reading(float_range=(0, 1)))
    assert NO_DATA not in tags_of(written)
    assert SCALE in tags_of(written)
    assert "its level of no data, -9999, is left out: its samples became 16 bits" in notes


def test_other_formats_say_that_they_hold_none(tmp_path: Path) -> None:
    _, notes = upscaled(tmp_path, geotiff(*SAID["scale"], keys(AREA)), writing=Writing("png"))
    assert notes == ["its georeference is left out: png holds none"]


def test_of_a_picture_that_is_turned_it_is_left_out() -> None:
    turned = saved(PIXELS, "TIFF", exif=exif(orientation=6))
    assert decode(turned).notes == ()
    data = geotiff(*SAID["scale"], keys(AREA), (274, SHORT, 1, 6, False))
    picture = decode(data)
    assert picture.metadata.geo is None
    assert picture.notes == ("its georeference is left out: the picture was turned",)


def test_without_other_metadata_it_stays(tmp_path: Path) -> None:
    written, _ = upscaled(tmp_path, geotiff(*SAID["scale"], keys(AREA)), writing=Writing(strip_metadata=True))
    assert tags_of(written)[SCALE] == (0.125, 0.0625, 0.0)


def test_large_images_have_theirs_too(tmp_path: Path) -> None:
    data = geotiff(*SAID["scale and a tie point inside"], keys(POINT), text(NO_DATA, "255"), tile=(16, 16))
    strips = open_strips(io.BytesIO(data), Reading(), LargeImages(pixels=1, streamed=1))
    canvas = canvas_of(strips, 4, strip_metadata=False)
    path = tmp_path / "a.tif"
    path.touch()
    with StripWriter(path, "tiff", 90, canvas) as writer:
        writer.add(np.zeros((120, 160, 3), np.uint8))
    after, columns = tags_of(path.read_bytes()), np.array([3.0, 20.0])
    np.testing.assert_allclose(places(after, 4 * columns, 4 * columns), places(tags_of(data), columns, columns))
    assert after[NO_DATA] == "255"


@pytest.mark.parametrize("name", SAID)
def test_what_a_world_file_would_say(name: str) -> None:
    for raster in (AREA, POINT):
        data = geotiff(*SAID[name], keys(raster))
        geo = decode(data).metadata.geo
        assert geo is not None
        a, d, b, e, x, y = affine(geo) or (0.0,) * 6
        column, row = np.array([8.0]), np.array([3.0])
        # It counts from the middle of the first pixel.
        found = [[a * 7.5 + b * 2.5 + x, d * 7.5 + e * 2.5 + y]]
        np.testing.assert_allclose(found, places(tags_of(data), column, row))


def test_tags_that_make_no_sense_are_left_out() -> None:
    data = geotiff((SCALE, SHORT, 3, (1, 2, 3), False), doubles(MATRIX, 1, 2), doubles(RPC, 1), keys(AREA))
    geo = decode(data).metadata.geo
    assert geo is not None
    assert affine(geo) is None
