"""What is written opens in other libraries than the one that wrote it, and shows the same there."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import product

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from arm_batch.core.arrays import Pixels
from arm_batch.images import FORMATS, Picture, decode, encode, fit_metadata
from arm_batch.metadata import Metadata
from tests.image_files import GREY_GAMMA, SRGB, by_opencv, exif, saved, smooth

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'
EXIF = decode(saved(smooth(0), "JPEG", exif=exif(maker="M"))).metadata.exif

KINDS = [
    (format, channels, alpha, depth)
    for format, channels, alpha, depth in product(FORMATS, (1, 3), (False, True), (8, 16))
    if (depth == 8 or FORMATS[format].sixteen_bit) and (FORMATS[format].alpha or not alpha)
]

NOT_BY_PILLOW = {("tiff", 1, True, 16)}
"""Of 16 bits it reads grey without alpha alone."""


def picture(format: str, channels: int, alpha: bool, depth: int) -> Picture:
    """With all that a format can hold beside pixels."""
    planes = smooth(1, channels=1, depth=depth)[..., :alpha]
    metadata = Metadata(icc=SRGB if channels == 3 else GREY_GAMMA, exif=EXIF, xmp=XMP, dpi=(300, 200))
    return fit_metadata(
        Picture(
            pixels=smooth(0, channels=channels, depth=depth), planes=planes, has_alpha=alpha, metadata=metadata
        ),
        format,
    )


def shown(picture: Picture, channels: int) -> np.ndarray:
    """Grey as such, as RGB or with alpha as RGBA: as many channels as a reader gave; in levels of 8 bits."""
    colours = picture.pixels / (257 if picture.pixels.dtype == np.uint16 else 1)
    if channels >= 3 and colours.shape[2] == 1:
        colours = colours.repeat(3, axis=2)
    planes = picture.planes / (257 if picture.planes.dtype == np.uint16 else 1)
    return np.concatenate([colours, planes], axis=2)


def assert_same(found: np.ndarray, written: Picture, format: str) -> None:
    found = found.reshape(*found.shape[:2], -1)
    expected = shown(written, found.shape[2])
    assert found.shape == expected.shape
    levels = found / (257 if found.dtype == np.uint16 else 1)
    # What cuts to 8 bits may round down.
    assert np.abs(levels - expected).mean() < (1.0 if format in ("png", "tiff") else 2.5)


@pytest.mark.parametrize(("format", "channels", "alpha", "depth"), sorted(set(KINDS) - NOT_BY_PILLOW))
def test_pillow_reads_it(format: str, channels: int, alpha: bool, depth: int) -> None:
    written = picture(format, channels, alpha, depth)
    with Image.open(io.BytesIO(encode(written, format))) as image:
        assert image.format == format.upper()
        assert image.info.get("icc_profile") == written.metadata.icc
        assert image.getexif()[0x010F] == "M"
        assert_same(np.asarray(image), written, format)


@pytest.mark.parametrize(("format", "channels", "alpha", "depth"), [kind for kind in KINDS if kind[0] != "avif"])
def test_opencv_reads_it(format: str, channels: int, alpha: bool, depth: int) -> None:
    """But AVIF, which its wheels are built without."""
    written = picture(format, channels, alpha, depth)
    found = by_opencv(encode(written, format), cv2.IMREAD_UNCHANGED)
    if format == "tiff" and channels == 1 and alpha:
        # Of a second band it takes no notice.
        written = Picture.plain(written.pixels)
    else:
        assert found.itemsize * 8 == depth
    if (format, channels, alpha, depth) == ("tiff", 3, True, 8):
        # It hands these over multiplied by alpha.
        colours = np.rint(written.pixels * (written.planes / 255)).astype(np.uint8)
        written = replace(written, pixels=colours)
    assert_same(as_rgb(found), written, format)


def as_rgb(bands: Pixels) -> Pixels:
    return bands if bands.ndim == 2 else bands[..., [2, 1, 0, 3][: bands.shape[2]]]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("planes", [0, 1, 4])
def test_tifffile_reads_tiff_of_any_number_of_bands(channels: int, planes: int, depth: int) -> None:
    bands = smooth(1, channels=5, depth=depth)[..., :planes]
    written = Picture(pixels=smooth(0, channels=channels, depth=depth), planes=bands, has_alpha=planes > 0)
    with tifffile.TiffFile(io.BytesIO(encode(written, "tiff"))) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        passthrough = page.extrasamples
        assert [int(extra) for extra in passthrough] == [2, 0, 0, 0][:planes]
        data = decoded_tiff(page)
    np.testing.assert_array_equal(data, np.concatenate([written.pixels, written.planes], axis=2))


def decoded_tiff(page: tifffile.TiffPage) -> Pixels:
    """Its own decoder of the predictor is in another package; sums along rows are all there is to it."""
    page.predictor = 1
    differences = page.asarray().reshape(page.imagelength, page.imagewidth, -1)
    return np.cumsum(differences, axis=1, dtype=differences.dtype)
