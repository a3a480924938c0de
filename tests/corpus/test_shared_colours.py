"""Pictures that were once upscaled with metadata or colours lost: what comes of them, where they are at hand."""

from __future__ import annotations

import io
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.corpus.test_corpus import rows_of, upscale
from tests.exif_blocks import Seen, exif_in, short
from tests.metadata.test_icc import ADOBE, FROM_XYZ, P3, encoded, srgb_light

FOLDER = Path(__file__).parents[3] / "shared" / "findings" / "images"
NAMES = (
    "jpeg_exif_minolta.jpg",
    "jpeg_dcf_adobergb.jpg",
    "avif_nclx_p3.avif",
    "png_cicp_p3.png",
    "png_gama_mac18.png",
    "jpeg_gpano_cropped.jpg",
    "jpeg_motion_gainmap.jpg",
    "png_xmp_orientation6.png",
)

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"there is no {FOLDER.name} beside the checkout")

LIGHT = {
    "jpeg_dcf_adobergb.jpg": lambda x: (x ** (563 / 256)) @ ADOBE.T @ FROM_XYZ.T,
    "avif_nclx_p3.avif": lambda x: srgb_light(x) @ P3.T @ FROM_XYZ.T,
    "png_cicp_p3.png": lambda x: srgb_light(x) @ P3.T @ FROM_XYZ.T,
    "png_gama_mac18.png": lambda x: x**1.8,
}
"""What samples mean, as linear sRGB."""


@pytest.fixture(scope="module", params=["kept", "converted"])
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bool]:
    """An output, and whether its colours were converted."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "in").mkdir()
    for name in NAMES:
        shutil.copy(FOLDER / name, folder / "in")
    options = ["--to-srgb"] if request.param == "converted" else []
    assert upscale(str(folder / "in"), str(folder / "out"), "--sink", "files", "--budget", "20%", *options) == 0
    return folder / "out", request.param == "converted"


def output_of(done: tuple[Path, bool], name: str) -> tuple[bytes, dict[str, Any]]:
    return (done[0] / "images" / name).read_bytes(), rows_of(done[0])[name]


@pytest.mark.parametrize("name", LIGHT)
def test_colours_are_shown_as_before(done: tuple[Path, bool], name: str) -> None:
    data, row = output_of(done, name)
    with Image.open(FOLDER / name) as image:
        source = np.asarray(image.convert("RGB"))
    expected = encoded(LIGHT[name](source / 255))
    with Image.open(io.BytesIO(data)) as image:
        icc = image.info.get("icc_profile")
        assert (icc is None) == done[1]
        rgb = image.convert("RGB")
    if icc is not None:
        profile, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(rgb, profile, srgb, ImageCms.Intent.RELATIVE_COLORIMETRIC)
        assert converted is not None
        rgb = converted
    averaged = np.asarray(rgb, float).reshape(128, 4, 128, 4, 3).mean(axis=(1, 3))
    assert np.abs(source - expected).mean() > 4
    assert np.abs(averaged - expected).mean() < 1.5
    assert row["notes"] == []


def test_exif_keeps_every_tag(done: tuple[Path, bool]) -> None:
    data, row = output_of(done, "jpeg_exif_minolta.jpg")
    before = Seen.of(exif_in((FOLDER / "jpeg_exif_minolta.jpg").read_bytes()) or b"")
    after = Seen.of(exif_in(data) or b"")
    sizes = {0xA002: short(">", 256), 0xA003: short(">", 192)}
    assert after.details == before.details | sizes
    assert after.interop == before.interop
    assert after.note_at == before.note_at
    assert after.main == {tag: value for tag, value in before.main.items() if tag != 0x112}
    assert row["notes"] == []


def test_adobe_rgb_of_cameras(done: tuple[Path, bool]) -> None:
    after = Seen.of(exif_in(output_of(done, "jpeg_dcf_adobergb.jpg")[0]) or b"")
    assert after.interop[1][2] == (b"R98\0" if done[1] else b"R03\0")
    assert after.interop[2][2] == b"0100"
    assert after.details[0xA001] == short(">", 1 if done[1] else 0xFFFF)
    assert after.details[0xA20E] == (12, 1, struct.pack(">d", 16000))


def test_panoramas_and_motion_photographs(done: tuple[Path, bool]) -> None:
    panorama, row = output_of(done, "jpeg_gpano_cropped.jpg")
    for name, value in {
        "CroppedAreaImageWidthPixels": 512,
        "CroppedAreaImageHeightPixels": 512,
        "FullPanoWidthPixels": 1024,
        "FullPanoHeightPixels": 512,
        "CroppedAreaLeftPixels": 40,
        "CroppedAreaTopPixels": 80,
    }.items():
        assert f'GPano:{name}="{value}"'.encode() in panorama
    assert row["notes"] == []
    photograph, row = output_of(done, "jpeg_motion_gainmap.jpg")
    for word in (b"hdrgm:Version", b"MotionPhoto", b"Container:Directory"):
        assert word not in photograph
    assert [note[:24] for note in row["notes"]] == ["its XMP told of further "]


def test_an_orientation_in_xmp_is_applied(done: tuple[Path, bool]) -> None:
    data, _ = output_of(done, "png_xmp_orientation6.png")
    with Image.open(FOLDER / "png_xmp_orientation6.png") as image:
        expected = np.rot90(np.asarray(image), -1)
    with Image.open(io.BytesIO(data)) as image:
        averaged = np.asarray(image, float).reshape(128, 4, 128, 4, 3).mean(axis=(1, 3))
    assert np.abs(averaged - expected).mean() < 1.5
    assert b"Orientation" not in data
