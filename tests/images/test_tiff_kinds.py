"""Kinds of TIFF that libvips does not read, or not as what they are."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from arm_batch.core.arrays import Pixels
from arm_batch.core.image_options import Reading
from arm_batch.core.large_images import LargeImages
from arm_batch.errors import ImageError
from arm_batch.images import decode
from arm_batch.images.streaming import open_strips, probe_size
from tests.image_files import noise, saved, smooth, tiff
from tests.raw_tiff import ASCII, LONG, SHORT, Page, Tags, packed_page, raw_tiff, ycbcr_page

GREY, RGB, CMYK, YCBCR, CIE_LAB, ICC_LAB, ITU_LAB = 1, 2, 5, 6, 8, 9, 10
KIND, OLD_KIND, SOFTWARE, PHOTOMETRIC = 254, 255, 305, 262
STREAMED = LargeImages(pixels=1, streamed=1)

LAB = ("Lab, converted to sRGB",)


def numbers(bits: int, channels: int, height: int = 19, width: int = 37) -> np.ndarray:
    return np.random.default_rng(bits).integers(0, 2**bits, (height, width, channels))


def stretched(values: np.ndarray, bits: int) -> Pixels:
    peak, dtype = (255, np.uint8) if bits <= 8 else (65535, np.uint16)
    return np.asarray(np.rint(values * (peak / (2**bits - 1))), dtype)


def strips_of(data: bytes) -> np.ndarray:
    strips = open_strips(io.BytesIO(data), Reading(), STREAMED)
    return np.concatenate([strips.rows(top, min(top + 7, strips.height)) for top in range(0, strips.height, 7)])


PACKED: list[dict[str, Any]] = [
    {},
    {"fill_order": 2},
    {"apart": True},
    {"rows": 5},
    {"rows": 4, "apart": True, "deflate": True},
    {"tile": 16},
    {"tile": 16, "apart": True, "fill_order": 2},
    {"tile": 32, "deflate": True},
]


@pytest.mark.parametrize("stored", PACKED, ids=str)
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 10, 12, 14, 15])
@pytest.mark.parametrize("photometric", [GREY, RGB])
def test_samples_bit_behind_bit(bits: int, photometric: int, stored: dict[str, Any]) -> None:
    values = numbers(bits, 3 if photometric == RGB else 1)
    data = raw_tiff(packed_page(values, bits, photometric, **stored))
    expected = stretched(values, bits)
    np.testing.assert_array_equal(decode(data).pixels, expected)
    plain = photometric == GREY and bits in (1, 2, 4) and "apart" not in stored
    if "tile" in stored and not plain:
        with pytest.raises(ImageError, match="too large for a TIFF file with samples in unusual blocks or tiles"):
            strips_of(data)
    else:
        np.testing.assert_array_equal(strips_of(data), expected)


def test_samples_bit_behind_bit_where_white_is_0_and_of_inks() -> None:
    values = numbers(12, 1)
    inverted = decode(raw_tiff(packed_page(values, 12, 0)))
    np.testing.assert_array_equal(inverted.pixels, 65535 - stretched(values, 12))
    inks = numbers(4, 4)
    assert decode(raw_tiff(packed_page(inks, 4, CMYK))).notes == ("CMYK, converted to sRGB without a profile",)


def test_samples_bit_behind_bit_of_which_some_are_missing() -> None:
    page = packed_page(numbers(12, 1), 12, GREY, rows=5)
    with pytest.raises(ImageError, match="cannot be decoded"):
        decode(raw_tiff(Page(page.tags, [page.chunks[0][:-30], *page.chunks[1:]])))
    with pytest.raises(ImageError, match="cannot be decoded"):
        decode(raw_tiff(page)[:600])


YCBCR_STORED: list[dict[str, Any]] = [
    {},
    {"deflate": True, "rows": 8},
    {"tile": 16},
    {"tile": 32, "deflate": True},
    {"weights": (0.2126, 0.7152, 0.0722)},
    {"reference": (16, 235, 128, 240, 128, 240)},
]


@pytest.mark.parametrize("stored", YCBCR_STORED, ids=str)
@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2), (4, 1), (4, 4), (1, 2)])
def test_luma_and_chroma_without_jpeg(across: int, down: int, stored: dict[str, Any]) -> None:
    rgb = smooth(3, 45, 61)
    picture = decode(raw_tiff(ycbcr_page(rgb, across, down, **stored)))
    assert (picture.planes.shape[2], picture.format, picture.notes) == (0, "tiff", ())
    within = {1: 1.0, 2: 1.6, 4: 1.6, 16: 3.0}[across * down]
    assert np.abs(picture.pixels.astype(int) - rgb).mean() < within


def test_chroma_where_nothing_is_said_is_at_half_the_resolution() -> None:
    page = ycbcr_page(smooth(3), 2, 2)
    said = decode(raw_tiff(page)).pixels
    silent = Page({tag: value for tag, value in page.tags.items() if tag not in (529, 530, 531, 532)}, page.chunks)
    np.testing.assert_array_equal(decode(raw_tiff(silent)).pixels, said)


def test_chroma_of_a_first_pixel_lies_half_a_pixel_to_the_left() -> None:
    page = ycbcr_page(smooth(3), 2, 1)
    cosited = decode(raw_tiff(Page({**page.tags, 531: (SHORT, 2)}, page.chunks))).pixels.astype(int)
    middle = decode(raw_tiff(page)).pixels.astype(int)
    # Where chroma is a ramp, half a pixel is half its step.
    luma = np.array([0.299, 0.587, 0.114])
    chroma = (middle[..., 0] - middle @ luma)[:, 2:-2]
    shifted = (cosited[..., 0] - cosited @ luma)[:, 2:-2]
    half = (chroma[:, 1:] + chroma[:, :-1]) / 2
    assert np.abs(shifted[:, :-1] - half).mean() < np.abs(shifted[:, :-1] - chroma[:, :-1]).mean()


def test_luma_and_chroma_in_strips() -> None:
    data = raw_tiff(ycbcr_page(smooth(3), 1, 1, rows=8))
    np.testing.assert_array_equal(strips_of(data), decode(data).pixels)
    with pytest.raises(ImageError, match="too large for a TIFF file with samples in unusual blocks"):
        strips_of(raw_tiff(ycbcr_page(smooth(3), 2, 2)))


def lab_of(rgb: Pixels) -> np.ndarray:
    """L*, a*, b* of the white D50, by littleCMS: float64 ``(h, w, 3)``."""
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = np.asarray(ImageCms.profileToProfile(Image.fromarray(rgb), srgb, lab, outputMode="LAB"))
    return np.dstack([converted[..., :1] * (100 / 255), converted[..., 1:].view(np.int8)]).astype(np.float64)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", [CIE_LAB, ICC_LAB, ITU_LAB])
def test_lab_of_whole_numbers(kind: int, bits: int) -> None:
    rgb = smooth(7)
    lab = lab_of(rgb)
    peak, unit = 2**bits - 1, 2 ** (bits - 8)
    if kind == CIE_LAB:
        coded = np.dstack([lab[..., :1] / 100 * peak, lab[..., 1:] * unit % (peak + 1)])
    elif kind == ICC_LAB:
        white = peak if bits == 8 else 0xFF00
        coded = np.dstack([lab[..., :1] / 100 * white, (lab[..., 1:] + 128) * unit])
    else:
        coded = np.dstack([lab[..., :1] / 100, (lab[..., 1:2] + 85) / 170, (lab[..., 2:] + 75) / 200]) * peak
    whole = np.rint(coded).clip(0, peak).astype(np.uint8 if bits == 8 else np.uint16)
    page = packed_page(whole, 8, kind)
    stored = Page({**page.tags, 258: (SHORT, (bits,) * 3)}, [whole.tobytes()])
    picture = decode(raw_tiff(stored))
    assert picture.notes == LAB
    assert picture.metadata.icc is None
    assert picture.pixels.itemsize == bits // 8
    assert np.abs(picture.pixels / (257 if bits == 16 else 1) - rgb).mean() < 2


def test_a_fourth_band_of_which_nothing_is_said() -> None:
    rgba = noise(1, channels=4)
    rgba[..., 3] |= 1
    picture = decode(raw_tiff(packed_page(rgba, 8, RGB)))
    assert picture.has_alpha
    assert picture.notes == ("its fourth band is taken for alpha, as the file does not say what it is",)
    np.testing.assert_array_equal(np.dstack([picture.pixels, picture.planes]), rgba)
    # What would leave nothing to be seen is no alpha.
    empty = decode(raw_tiff(packed_page(np.dstack([rgba[..., :3], 0 * rgba[..., :1]]), 8, RGB)))
    assert (empty.has_alpha, empty.notes, empty.planes.shape[2]) == (False, (), 1)
    np.testing.assert_array_equal(empty.pixels, rgba[..., :3])


def page_of(
    pixels: Pixels, kind: int | None = None, below: tuple[Page, ...] = (), tags: Tags | None = None
) -> Page:
    page = packed_page(pixels, 8, RGB if pixels.shape[2] == 3 else GREY)
    told = {} if kind is None else {KIND: (LONG, kind)}
    return Page({**page.tags, **told, **(tags or {})}, page.chunks, below=below)


FULL, SMALL = noise(1), noise(2, 5, 8)
SENSOR = page_of(noise(3, channels=1), tags={PHOTOMETRIC: (SHORT, 32803)})
NO_MASK = ("its transparency mask is left out",)

PAGES: dict[str, tuple[list[Page], tuple[str, ...]]] = {
    "thumbnail, the image below it": ([page_of(SMALL, 1, (page_of(FULL, 0),))], ()),
    "thumbnail, the image below it, untold": ([page_of(SMALL, 1, (page_of(FULL),))], ()),
    "thumbnail, preview and image below it": ([page_of(SMALL, 1, (page_of(SMALL, 1), page_of(FULL, 0)))], ()),
    "thumbnail first": ([page_of(SMALL, 1), page_of(FULL)], ()),
    "thumbnail first, in the old way": ([page_of(SMALL, tags={OLD_KIND: (SHORT, 2)}), page_of(FULL)], ()),
    "overviews behind": ([page_of(FULL), page_of(SMALL, 1), page_of(SMALL, 1)], ()),
    "overviews below": ([page_of(FULL, 0, (page_of(SMALL, 1),))], ()),
    "smaller form below": ([page_of(FULL, 0, (page_of(SMALL, 0),))], ()),
    "larger form below": ([page_of(SMALL, 0, (page_of(FULL, 0),))], ()),
    "mask first": ([page_of(SMALL[..., :1], 4), page_of(FULL)], NO_MASK),
    "mask behind": ([page_of(FULL), page_of(SMALL[..., :1], 4)], NO_MASK),
    "pages": ([page_of(FULL, 2), page_of(SMALL, 2)], ("frame 0 of 2",)),
    "nothing but thumbnails": ([page_of(SMALL, 1), page_of(FULL, 1)], ("holds nothing but a reduced picture",)),
}


@pytest.mark.parametrize("name", PAGES)
def test_thumbnails_and_masks_are_not_the_image(name: str) -> None:
    pages, notes = PAGES[name]
    data = raw_tiff(*pages)
    picture = decode(data)
    np.testing.assert_array_equal(picture.pixels, FULL)
    assert picture.notes == notes
    assert probe_size(io.BytesIO(data), Reading()) == FULL.shape[:2]
    np.testing.assert_array_equal(strips_of(data), FULL)


def test_frames_count_what_is_an_image() -> None:
    data = raw_tiff(page_of(noise(8), 1), page_of(noise(9)), page_of(noise(8), 4), page_of(FULL))
    np.testing.assert_array_equal(decode(data, Reading(frames=1)).pixels, FULL)
    with pytest.raises(ImageError, match="has no frame 2: 2 in all"):
        decode(data, Reading(frames=2))


def test_what_is_beside_an_image_below_a_thumbnail_is_the_thumbnails() -> None:
    told: Tags = {SOFTWARE: (ASCII, b"a camera\0"), 274: (SHORT, 6)}
    picture = decode(raw_tiff(page_of(SMALL, 1, (page_of(FULL, 0),), told)))
    np.testing.assert_array_equal(picture.pixels, np.rot90(FULL, -1))
    assert picture.metadata.exif is not None
    assert b"a camera" in picture.metadata.exif


RAW_FILES = {
    "thumbnail first": raw_tiff(page_of(SMALL, 1, (SENSOR,))),
    "preview below": raw_tiff(page_of(SMALL, 1, (page_of(FULL, 1), SENSOR))),
    "alone": raw_tiff(SENSOR),
    "Canon": b"II*\0\x10\0\0\0CR\2\0" + bytes(100),
}


@pytest.mark.parametrize("data", RAW_FILES.values(), ids=RAW_FILES)
def test_raw_files_of_cameras_are_said_to_be(data: bytes) -> None:
    with pytest.raises(ImageError, match="is a camera's raw file"):
        decode(data)


def test_jpeg_of_the_old_style() -> None:
    rgb = smooth(5, 48, 64)
    whole = saved(rgb, "JPEG", quality=95, subsampling=0)
    start = 8
    tags = {
        256: (LONG, 64),
        257: (LONG, 48),
        258: (SHORT, (8, 8, 8)),
        259: (SHORT, 6),
        262: (SHORT, YCBCR),
        277: (SHORT, 3),
        278: (LONG, 48),
        284: (SHORT, 1),
        512: (SHORT, 1),
        513: (LONG, start),
        514: (LONG, len(whole)),
        530: (SHORT, (1, 1)),
    }
    data = raw_tiff(Page(tags, [whole]))
    picture = decode(data)
    assert np.abs(picture.pixels.astype(int) - rgb).mean() < 2
    with pytest.raises(ImageError, match="too large for a TIFF file with JPEG of the old style"):
        strips_of(data)


@pytest.mark.parametrize("method", ["lzma", "zstd"])
@pytest.mark.parametrize("kind", ["grey", "rgb", "alpha", "palette"])
def test_compressed_in_a_way_that_only_pillow_knows(kind: str, method: str) -> None:
    pixels = numbers(8, {"grey": 1, "rgb": 3, "alpha": 4, "palette": 3}[kind]).astype(np.uint8)
    image = Image.fromarray(pixels.squeeze())
    if kind == "palette":
        image = image.quantize(16)
    file = io.BytesIO()
    image.save(file, "TIFF", compression=method)
    picture = decode(file.getvalue())
    expected = np.asarray(image.convert("RGB")) if kind == "palette" else pixels.reshape(*pixels.shape[:2], -1)
    colours = 1 if kind == "grey" else 3
    if kind == "alpha":
        np.testing.assert_array_equal(picture.planes, expected[..., 3:])
    else:
        np.testing.assert_array_equal(picture.pixels, expected[..., :colours])
    with pytest.raises(ImageError, match=r"is too large for a TIFF file with (LZMA|Zstandard) inside"):
        strips_of(file.getvalue())


@pytest.mark.parametrize(("photometric", "channels", "called"), [(GREY, 1, "grey"), (RGB, 3, "RGB")])
@pytest.mark.parametrize("bits", [8, 12])
def test_a_page_that_does_not_say_what_its_colours_are(
    photometric: int, channels: int, called: str, bits: int
) -> None:
    values = numbers(bits, channels)
    page = packed_page(values, bits, photometric)
    silent = Page({tag: value for tag, value in page.tags.items() if tag != PHOTOMETRIC}, page.chunks)
    picture = decode(raw_tiff(silent))
    np.testing.assert_array_equal(picture.pixels, stretched(values, bits))
    assert picture.notes == (f"it does not say what its colours are: taken for {called}",)
    np.testing.assert_array_equal(strips_of(raw_tiff(silent)), stretched(values, bits))


def test_many_bands_are_told_where_they_are_too_many() -> None:
    data = raw_tiff(packed_page(numbers(8, 9), 8, GREY))
    with pytest.raises(ImageError, match="37 x 19 px of 9 bands are more than the 800 allowed"):
        decode(data, Reading(max_pixels=800))


def test_a_broken_directory_below_or_behind_is_no_matter() -> None:
    data = bytearray(raw_tiff(page_of(FULL, 0, (page_of(SMALL, 1),))))
    np.testing.assert_array_equal(decode(bytes(data)).pixels, FULL)
    several = tiff(FULL, photometric="rgb", extratags=[(330, 4, 1, 10**6, False)])
    np.testing.assert_array_equal(decode(several).pixels, FULL)
