"""Images of every kind through a whole job: what comes out, area-averaged to the input's size, is the input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from arm_batch import open_dataset, pipeline
from arm_batch.core.arrays import Pixels
from arm_batch.core.image_options import Reading, Writing
from arm_batch.core.tiling.grid import Upscaled, Windows
from arm_batch.execution import work
from arm_batch.images import Picture, decode
from arm_batch.models.inference import Upscaler
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.plan_files import read_plan
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.runstate.verify import verify_store
from arm_batch.storage.open import open_store
from tests.archives import job, replanned, silent
from tests.image_files import SRGB, WIDE, deep_png, exif, saved, smooth, tiff

RGB8, RGB16 = smooth(0), smooth(0, depth=16)
ALPHA8, ALPHA16 = smooth(1, channels=1), smooth(1, channels=1, depth=16)
RGBA8 = np.dstack([RGB8, ALPHA8])
PALETTE = Image.fromarray(RGB8).quantize(32)
FLOATS = smooth(2, channels=1, depth=16)[..., 0].astype(np.float32) / 65535

LOSSLESS = {
    "rgb.png": saved(RGB8, "PNG"),
    "grey.png": saved(RGB8[..., :1], "PNG"),
    "rgba.png": saved(RGBA8, "PNG"),
    "la.png": saved(Image.fromarray(np.dstack([RGB8[..., 0], ALPHA8])), "PNG"),
    "palette.png": saved(PALETTE, "PNG"),
    "bits.png": saved(Image.fromarray(RGB8[..., 0] > 100), "PNG"),
    "rgb16.png": deep_png(RGB16),
    "rgba16.png": deep_png(np.dstack([RGB16, ALPHA16])),
    "rgb.bmp": saved(RGB8, "BMP"),
    "palette.gif": saved(PALETTE, "GIF"),
    "rgb.tif": saved(RGB8, "TIFF"),
    "rgb16.tiff": tiff(RGB16, photometric="rgb"),
    "la16.tif": tiff(np.dstack([RGB16[..., 0], ALPHA16]), photometric="minisblack", extrasamples=["unassalpha"]),
    "bands.tif": tiff(np.dstack([RGBA8, smooth(4, channels=3)]), photometric="rgb", extrasamples=[2, 0, 0, 0]),
    "float.tif": tiff(FLOATS),
    "cmyk.tif": saved(Image.fromarray(smooth(3, channels=4), "CMYK"), "TIFF"),
    "lossless.webp": saved(RGBA8, "WEBP", lossless=True),
    "lossless.jp2": saved(RGB8, "JPEG2000"),
}

LOSSY = {
    "rgb.jpg": saved(RGB8, "JPEG", quality=98),
    "grey.jpeg": saved(RGB8[..., :1], "JPEG", quality=98),
    "cmyk.jpg": saved(Image.fromarray(smooth(3, channels=4), "CMYK"), "JPEG", quality=98),
    "lossy.webp": saved(RGBA8, "WEBP", quality=98),
    "lossy.avif": saved(RGBA8, "AVIF", quality=98),
    "lossy.jp2": saved(RGB8, "JPEG2000", irreversible=True),
}

FORMATS = {"jpg": "jpeg", "jpeg": "jpeg", "tif": "tiff", "tiff": "tiff", "webp": "webp", "avif": "avif"}

READING = Reading(float_range=(0, 1))


def averaged(bands: Pixels, height: int, width: int) -> np.ndarray:
    """In 8-bit levels."""
    levels = bands / (257 if bands.dtype == np.uint16 else 1)
    return np.dstack(
        [cv2.resize(levels[..., n], (width, height), interpolation=cv2.INTER_AREA) for n in range(bands.shape[2])]
    )


def all_bands(picture: Picture) -> Pixels:
    return np.concatenate([picture.pixels, picture.planes], axis=2)


def rows_of(output: Path) -> dict[str, dict[str, Any]]:
    return {row["path"]: row for row in open_dataset(str(output)).to_table().to_pylist()}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "in").mkdir()
    for name, data in (LOSSLESS | LOSSY).items():
        (folder / "in" / name).write_bytes(data)
    summary = pipeline.upscale(
        replanned(job(folder / "in", folder / "out", sink="files"), reading=READING), silent
    )
    assert summary.failed == 0
    return folder / "out"


@pytest.mark.parametrize("name", LOSSLESS | LOSSY)
def test_the_output_is_the_input_enlarged(done: Path, name: str) -> None:
    row = rows_of(done)[name]
    before = decode((LOSSLESS | LOSSY)[name], READING)
    after = decode((done / row["image"]["path"]).read_bytes())
    assert row["image"]["path"].endswith(Path(name).suffix) or row["format"] in ("png", "jpeg", "tiff")
    grey_lost = row["format"] in ("webp", "avif") and before.pixels.shape[2] == 1
    assert after.pixels.shape == (160, 240, 3 if grey_lost else before.pixels.shape[2])
    assert after.planes.shape == (160, 240, before.planes.shape[2])
    assert after.has_alpha == before.has_alpha
    assert after.pixels.dtype == before.pixels.dtype
    assert (row["channels"], row["bit_depth"]) == (all_bands(before).shape[2], 8 * before.pixels.itemsize)
    expected = all_bands(before) / (257 if before.pixels.dtype == np.uint16 else 1)
    # Black and white has no smooth parts, and the net takes its staircases for edges.
    limit = 6 if name == "bits.png" else 2
    for band in range(expected.shape[2]):
        assert np.abs(averaged(all_bands(after), 40, 60)[..., band] - expected[..., band]).mean() < limit
    if before.pixels.dtype == np.uint16:
        assert len(np.unique(after.pixels)) > 2000
    assert row["format"] == FORMATS.get(name.rpartition(".")[2], "png") or name in ("lossless.webp", "lossy.jp2")


def test_what_auto_writes(done: Path) -> None:
    written = {name: (row["format"], Path(row["image"]["path"]).name) for name, row in rows_of(done).items()}
    assert written["rgb.bmp"] == ("png", "rgb.bmp.png")
    assert written["lossless.webp"] == ("png", "lossless.webp.png")
    assert written["lossy.jp2"] == ("jpeg", "lossy.jp2.jpg")
    assert written["grey.jpeg"] == ("jpeg", "grey.jpeg.jpg")
    assert written["float.tif"] == ("tiff", "float.tif")


def test_the_output_reads_back_whole(done: Path) -> None:
    store = open_store(str(done))
    assert not verify_store(store, list_generations(store)).problems


def upscaled(folder: Path, files: dict[str, bytes], reading: Reading = READING, **writing: Any) -> dict[str, Any]:
    for name, data in files.items():
        (folder / "in").mkdir(exist_ok=True)
        (folder / "in" / name).write_bytes(data)
    spec = job(folder / "in", folder / "out", budget="10%")
    pipeline.upscale(replanned(spec, reading=reading, writing=Writing(**writing)), silent)
    return rows_of(folder / "out")


def test_what_a_format_does_not_hold_falls_back_and_says_so(tmp_path: Path) -> None:
    names = ("rgb.png", "rgba.png", "rgb16.png", "bands.tif")
    rows = upscaled(tmp_path, {name: LOSSLESS[name] for name in names}, format="jpeg")
    told = {name: (rows[name]["format"], rows[name]["image"]["path"], rows[name]["notes"]) for name in names}
    assert told == {
        "rgb.png": ("jpeg", "rgb.jpg", []),
        "rgba.png": ("png", "rgba.png", ["written as png: transparent pixels do not fit into jpeg"]),
        "rgb16.png": ("png", "rgb16.png", ["written as png: 16 bits per channel do not fit into jpeg"]),
        "bands.tif": ("tiff", "bands.tif", ["written as tiff: bands beside the colours do not fit into jpeg"]),
    }


def test_rows_without_an_extension_get_one(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    column = pa.array([LOSSY["rgb.jpg"], LOSSLESS["rgb.png"], LOSSY["lossy.webp"]], pa.binary())
    pq.write_table(pa.table({"image": column}), tmp_path / "in" / "train.parquet")
    pipeline.upscale(job(tmp_path / "in", tmp_path / "out", budget="10%"), silent)
    names = [row["image"]["path"] for _, row in sorted(rows_of(tmp_path / "out").items())]
    assert [Path(name).suffix for name in names] == [".jpg", ".png", ".webp"]
    assert {Path(name).stem for name in names} == {"00000000", "00000001", "00000002"}


def test_metadata_and_profile_go_along_or_stay_behind(tmp_path: Path) -> None:
    files = {"a.jpg": saved(RGB8, "JPEG", exif=exif(maker="M", orientation=6), icc_profile=WIDE)}
    for folder, reading, writing, expected in (
        ("kept", READING, {}, (True, WIDE)),
        ("stripped", READING, {"strip_metadata": True}, (False, WIDE)),
        ("srgb", Reading(to_srgb=True), {}, (True, None)),
    ):
        (tmp_path / folder).mkdir()
        row = upscaled(tmp_path / folder, files, reading, **writing)["a.jpg"]
        metadata = decode(row["image"]["bytes"]).metadata
        assert (metadata.exif is not None, metadata.icc) == expected
        assert (row["width"], row["height"]) == (160, 240)


def test_what_the_options_refuse_is_a_failed_row(tmp_path: Path) -> None:
    pages = saved(RGB8, "TIFF", save_all=True, append_images=[Image.fromarray(smooth(9, 20, 20))])
    files = {"pages.tif": pages, "float.tif": LOSSLESS["float.tif"], "large.png": saved(smooth(0, 60, 60), "PNG")}
    rows = upscaled(tmp_path, files, Reading(max_pixels=2400, frames="refuse"))
    assert {name: row["status"] for name, row in rows.items()} == dict.fromkeys(files, "failed")
    assert "has 2 frames" in rows["pages.tif"]["error"]
    assert "--float-range" in rows["float.tif"]["error"]
    assert "2,400 allowed" in rows["large.png"]["error"]
    (tmp_path / "again").mkdir()
    rows = upscaled(tmp_path / "again", {"pages.tif": pages}, Reading(frames=1))
    assert (rows["pages.tif"]["width"], rows["pages.tif"]["notes"]) == (80, ["frame 1 of 2"])


def test_hidden_colours_do_not_bleed(tmp_path: Path) -> None:
    """A light disc on nothing, under which lies black: its edge must stay light."""
    rows, columns = np.mgrid[:64, :64]
    inside = np.hypot(rows - 32, columns - 32) < 20
    sprite = np.zeros((64, 64, 4), np.uint8)
    sprite[inside] = (230, 220, 200, 255)
    row = upscaled(tmp_path, {"disc.png": saved(sprite, "PNG")})["disc.png"]
    after = decode(row["image"]["bytes"])
    seen = after.planes[..., 0] > 0
    assert seen.any()
    assert after.pixels[seen].min(axis=0).tolist() >= [215, 205, 185]


def test_a_profile_for_rgb_does_not_reach_grey(tmp_path: Path) -> None:
    row = upscaled(tmp_path, {"grey.jpg": saved(RGB8[..., :1], "JPEG", icc_profile=SRGB)})["grey.jpg"]
    assert decode(row["image"]["bytes"]).metadata.icc is None
    assert row["notes"] == ["its colour profile is for RGB, not for its colours, and is dropped"]


def test_what_nobody_sees_earns_no_flops(tmp_path: Path) -> None:
    busy = np.random.default_rng(0).integers(0, 256, (64, 96, 4)).astype(np.uint8)
    busy[..., 3] = 255
    busy[:, 32:, 3] = 0
    upscaled(tmp_path, {"half.png": saved(busy, "PNG")})
    (image,) = read_plan(open_store(str(tmp_path / "out")), ShardId(0, 0)).images
    assert (image.scores[[1, 2, 4, 5]] == 0).all()
    assert (image.scores[[0, 3]] > 0).all()


class Faulty(Upscaler):
    """Finds one tile of each image in each batch not finite."""

    def run(self, subnet: int, pieces: Sequence[Windows]) -> list[Upscaled]:
        return [Upscaled(upscaled.pixels, 1) for upscaled in super().run(subnet, pieces)]


def test_tiles_that_a_net_fails_on_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "Upscaler", Faulty)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(LOSSLESS["rgb.png"])
    pipeline.upscale(job(tmp_path / "in", tmp_path / "out", budget="100%"), silent)
    row = rows_of(tmp_path / "out")["a.png"]
    batches = sum(tiles > 0 for tiles in row["subnet_tiles"][1:])
    assert batches > 0
    assert row["notes"] == [f"tiles interpolated because the net's output was not finite: {batches}"]
