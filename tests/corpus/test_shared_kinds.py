"""Pictures that were once refused or shown wrong: what comes of them, where they are at hand."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from arm_batch.core.tiling.spoiled import DITHERED
from arm_batch.images import decode
from tests.corpus.test_corpus import rows_of, upscale
from tests.image_files import by_opencv

FOLDER = Path(__file__).parents[3] / "shared" / "findings" / "images"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"there is no {FOLDER.name} beside the checkout")

NO_DATA = "pixels of no data (0) are upscaled like others: at their edges levels lie between"

KINDS = {
    "tiff_ycbcr_none.tif": (512, 512, 3, 8, ()),
    "tiff_ycbcr_lzw.tif": (512, 512, 3, 8, ()),
    "tiff_ycbcr_420.tif": (512, 512, 3, 8, ()),
    "tiff_lab8.tif": (512, 512, 3, 8, ("Lab, converted to sRGB",)),
    "tiff_grey_10bit_packed.tif": (512, 512, 1, 16, ()),
    "tiff_grey_12bit_packed.tif": (512, 512, 1, 16, ()),
    "tiff_rgb_4bit_packed.tif": (512, 512, 3, 8, ()),
    "tiff_old_style_jpeg.tif": (640, 640, 3, 8, ()),
    "raw_thumbnail_first.tif": (512, 512, 3, 8, ()),
    "geotiff_utm.tif": (512, 512, 3, 8, (NO_DATA,)),
    "jp2_rgb_jpx.jp2": (1724, 1304, 3, 8, ()),
    "bmp_rgb32_bitfields.bmp": (508, 256, 3, 8, ()),
    "png_1bit_dithered.png": (512, 512, 1, 8, (DITHERED,)),
}
"""Width, height, channels and bits of the output, and the notes of its row."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    (folder / "in").mkdir()
    for name in KINDS:
        shutil.copy(FOLDER / name, folder / "in")
    assert upscale(str(folder / "in"), str(folder / "out"), "--sink", "files", "--budget", "20%") == 0
    return folder / "out"


def shown(done: Path, name: str) -> np.ndarray:
    """The output in levels of 8 bits, averaged to the size of the input."""
    path: str = rows_of(done)[name]["image"]["path"]
    picture = decode((done / path).read_bytes())
    levels = picture.pixels / (257 if picture.pixels.dtype == np.uint16 else 1)
    size = (levels.shape[1] // 4, levels.shape[0] // 4)
    return cv2.resize(levels, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)


@pytest.mark.parametrize("name", KINDS)
def test_a_row_is_as_it_should_be(done: Path, name: str) -> None:
    row: dict[str, Any] = rows_of(done)[name]
    found = (row["width"], row["height"], row["channels"], row["bit_depth"], tuple(row["notes"]))
    assert (row["status"], *found) == ("ok", *KINDS[name])


def test_all_that_show_the_same_photograph_do(done: Path) -> None:
    photograph = np.asarray(Image.open(FOLDER / "tiff_ycbcr_none.tif").convert("RGB")).astype(np.float64)
    luma = photograph @ [0.299, 0.587, 0.114]
    for name in ("tiff_ycbcr_none.tif", "tiff_ycbcr_lzw.tif", "tiff_ycbcr_420.tif", "tiff_lab8.tif"):
        assert np.abs(shown(done, name) - photograph).mean() < 3
    for name in ("tiff_grey_10bit_packed.tif", "tiff_grey_12bit_packed.tif"):
        assert np.abs(shown(done, name)[..., 0] - luma).mean() < 3
    # Four bits are 16 levels, of which the file has the lower.
    assert np.abs(shown(done, "tiff_rgb_4bit_packed.tif") - photograph).mean() < 9


@pytest.mark.parametrize("name", ["tiff_old_style_jpeg.tif", "raw_thumbnail_first.tif", "jp2_rgb_jpx.jp2"])
def test_colours_are_those_of_another_reader(done: Path, name: str) -> None:
    if name.startswith("raw"):
        with tifffile.TiffFile(FOLDER / name) as file:
            raw = file.pages[0]
            assert isinstance(raw, tifffile.TiffPage)
            assert raw.pages is not None
            expected = raw.pages[0].asarray()
    elif name.endswith(".jp2"):
        expected = by_opencv((FOLDER / name).read_bytes())[..., ::-1]
    else:
        expected = np.asarray(Image.open(FOLDER / name).convert("RGB"))
    assert np.abs(shown(done, name) - expected).mean() < 4


def test_tones_of_dots_stay(done: Path) -> None:
    name = "png_1bit_dithered.png"
    before = np.asarray(Image.open(FOLDER / name).convert("L")).astype(np.float64)
    size = (before.shape[1] // 8, before.shape[0] // 8)
    blocks = [cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (before, shown(done, name)[..., 0])]
    assert np.abs(blocks[0] - blocks[1]).mean() < 5


def test_a_georeference_is_scaled(done: Path) -> None:
    with tifffile.TiffFile(done / "images" / "geotiff_utm.tif") as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        tags = {tag.code: tag.value for tag in page.tags}
    assert tags[33550] == (0.125, 0.125, 0.0)
    assert tags[33922] == (0.0, 0.0, 0.0, 500000.0, 4600000.0, 0.0)
    assert tags[34735][-1] == 32632
    assert tags[42113] == "0"


def test_a_raw_thumbnail_by_a_list_and_images_in_a_column_called_img(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(FOLDER / "raw_thumbnail_first.tif", tmp_path / "in" / "raw.NEF")
    (tmp_path / "in" / "list.txt").write_text("raw.NEF\n")
    assert upscale(str(tmp_path / "in" / "list.txt"), str(tmp_path / "out")) == 0
    assert [(row["width"], row["height"]) for row in rows_of(tmp_path / "out").values()] == [(512, 512)]
    assert upscale(str(FOLDER / "parquet_img_column"), str(tmp_path / "img")) == 0
    assert [row["status"] for row in rows_of(tmp_path / "img").values()] == ["ok"]


def test_luma_and_chroma_can_become_jpeg(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(FOLDER / "tiff_ycbcr_420.tif", tmp_path / "in")
    assert upscale(str(tmp_path / "in"), str(tmp_path / "out"), "--format", "jpeg") == 0
    (row,) = rows_of(tmp_path / "out").values()
    assert (row["format"], row["notes"]) == ("jpeg", [])
