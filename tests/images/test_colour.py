"""Profiles and CMYK: against littleCMS as Pillow calls it, and against the definition."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import pyvips
from PIL import Image

from arm_batch.core.arrays import Pixels
from arm_batch.core.image_options import Reading
from arm_batch.images import decode, encode
from arm_batch.images.colour import to_srgb
from tests.image_files import GREY_GAMMA, SRGB, WIDE, saved, smooth, tiff, to_srgb_by_pillow, with_alpha

RGB8, RGB16 = smooth(0), smooth(0, depth=16)
GREY8 = np.ascontiguousarray(RGB8[..., :1])


def by_pillow(pixels: Pixels, icc: bytes, mode: str = "RGB") -> np.ndarray:
    image = Image.fromarray(pixels, mode) if mode == "CMYK" else Image.fromarray(pixels)
    return to_srgb_by_pillow(image, icc)


def test_a_profile_is_kept_with_the_pixels_untouched() -> None:
    for format in ("PNG", "TIFF", "WEBP"):
        options = {"lossless": True} if format == "WEBP" else {}
        picture = decode(saved(RGB8, format, icc_profile=WIDE, **options))
        assert picture.metadata.icc == WIDE
        np.testing.assert_array_equal(picture.pixels, RGB8)
    for format in ("JPEG", "AVIF"):
        assert decode(saved(RGB8, format, icc_profile=WIDE)).metadata.icc == WIDE


def test_colours_are_converted_on_demand() -> None:
    picture = decode(saved(RGB8, "PNG", icc_profile=WIDE), Reading(to_srgb=True))
    expected = by_pillow(RGB8, WIDE)
    assert picture.metadata.icc is None
    assert np.abs(expected.astype(int) - RGB8).mean() > 5
    assert np.abs(picture.pixels.astype(int) - expected).max() <= 1


def test_sixteen_bits_are_converted_in_sixteen() -> None:
    picture = decode(tiff(RGB16, photometric="rgb", iccprofile=WIDE), Reading(to_srgb=True))
    assert picture.pixels.dtype == np.uint16
    # Pillow's 8 bits are coarse where the gamma of sRGB is steep.
    assert np.abs(picture.pixels / 257 - by_pillow(RGB8, WIDE)).mean() < 0.7
    # Far more levels than 8 bits have.
    assert len(np.unique(picture.pixels)) > 2000


def test_grey_stays_grey() -> None:
    picture = decode(saved(GREY8, "PNG", icc_profile=GREY_GAMMA), Reading(to_srgb=True))
    assert picture.pixels.shape == GREY8.shape
    expected = by_pillow(GREY8[..., 0], GREY_GAMMA)[..., 1:2]
    assert np.abs(expected.astype(int) - GREY8).mean() > 5
    assert np.abs(picture.pixels.astype(int) - expected).max() <= 1


def test_without_a_profile_there_is_nothing_to_convert() -> None:
    for data in (saved(RGB8, "PNG"), saved(RGB8, "PNG", icc_profile=b"nonsense")):
        np.testing.assert_array_equal(decode(data, Reading(to_srgb=True)).pixels, RGB8)


def test_srgb_to_srgb_changes_nothing_to_speak_of() -> None:
    picture = decode(saved(RGB8, "PNG", icc_profile=SRGB), Reading(to_srgb=True))
    assert np.abs(picture.pixels.astype(int) - RGB8).max() <= 1


@pytest.mark.parametrize(
    ("pixels", "icc", "told"),
    [
        (RGB8, b"nonsense", "is broken"),
        (RGB8, WIDE[:150], "is broken"),
        (RGB8, WIDE[:100], "is broken"),
        (RGB8, struct.pack(">I", len(WIDE) + 1) + WIDE[4:], "is broken"),
        (RGB8, WIDE[:12] + b"link" + WIDE[16:], "is broken"),
        (RGB8, WIDE[:64] + b"\0\1\0\0" + WIDE[68:], "is broken"),
        (RGB8, WIDE[:136] + b"\0\1\0\0" + WIDE[140:], "is broken"),
        (RGB8, GREY_GAMMA, "is for GRAY"),
        (GREY8, WIDE, "is for RGB"),
    ],
)
def test_profiles_that_do_not_fit_are_dropped_with_a_note(pixels: Pixels, icc: bytes, told: str) -> None:
    picture = decode(saved(pixels, "TIFF", icc_profile=icc))
    assert picture.metadata.icc is None
    assert [note for note in picture.notes if told in note]
    np.testing.assert_array_equal(picture.pixels, pixels)


CMYK8 = smooth(3, channels=4)


def plain(ink: np.ndarray, peak: int) -> np.ndarray:
    paper = peak - ink.astype(np.float64)
    return paper[..., :3] * paper[..., 3:] / peak


@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
def test_cmyk_without_a_profile(format: str) -> None:
    options = {"quality": 100} if format == "JPEG" else {}
    # Pillow writes JPEG as Adobe does, inverted.
    picture = decode(saved(Image.fromarray(CMYK8, "CMYK"), format, **options))
    assert picture.notes == ("CMYK, converted to sRGB without a profile",)
    assert np.abs(picture.pixels - plain(CMYK8, 255)).mean() < (2 if format == "JPEG" else 0.51)


def test_cmyk_of_sixteen_bits_and_with_a_further_band() -> None:
    deep = smooth(3, channels=5, depth=16)
    picture = decode(tiff(deep, photometric="separated", extrasamples=["unspecified"]))
    assert picture.pixels.dtype == np.uint16
    assert np.abs(picture.pixels - plain(deep[..., :4], 65535)).max() < 1
    np.testing.assert_array_equal(picture.planes, deep[..., 4:])
    assert not picture.has_alpha


def test_cmyk_with_a_profile_is_converted_by_it() -> None:
    icc = pyvips.Image.profile_load("cmyk")
    expected = by_pillow(CMYK8, icc, "CMYK")
    assert np.abs(expected - plain(CMYK8, 255)).mean() > 5
    for format, deviation in (("TIFF", 0.5), ("JPEG", 3)):
        options = {"quality": 100} if format == "JPEG" else {}
        data = saved(Image.fromarray(CMYK8, "CMYK"), format, icc_profile=icc, **options)
        picture = decode(data)
        assert picture.notes == ("CMYK, converted to sRGB by its profile",)
        assert picture.metadata.icc is None
        assert np.abs(picture.pixels.astype(int) - expected).mean() < deviation
    deep = decode(tiff(CMYK8.astype(np.uint16) * 257, photometric="separated", iccprofile=icc))
    assert np.abs(deep.pixels / 257 - expected).max() < 2


def test_alpha_takes_no_part_in_colours() -> None:
    rgba = with_alpha(RGB8, 100)
    picture = decode(saved(rgba, "PNG", icc_profile=WIDE), Reading(to_srgb=True))
    np.testing.assert_array_equal(picture.planes, rgba[..., 3:])
    assert np.abs(picture.pixels.astype(int) - by_pillow(RGB8, WIDE)).max() <= 1


def test_the_result_of_a_conversion_is_contiguous() -> None:
    assert to_srgb(RGB8, "rgb", WIDE, [])[0].flags.c_contiguous
    assert to_srgb(GREY8, "grey", GREY_GAMMA, [])[0].flags.c_contiguous


def test_a_profile_is_as_long_as_it_says() -> None:
    assert decode(saved(RGB8, "TIFF", icc_profile=WIDE + b"more")).metadata.icc == WIDE
    # Version 4 wants whole words, and libpng insists.
    odd = struct.pack(">I", len(SRGB) + 1) + SRGB[4:] + b"x"
    picture = decode(saved(RGB8, "TIFF", icc_profile=odd))
    whole = picture.metadata.icc
    assert whole is not None
    assert struct.unpack(">I", whole[:4])[0] == len(whole) == len(SRGB) + 4
    assert decode(encode(picture, "png")).metadata.icc == whole


def test_a_profile_that_only_seems_sound_is_kept_with_a_note() -> None:
    # Its header and table of tags are in order, what they point to is not.
    hollow = WIDE.replace(b"XYZ \0\0\0\0", b"???? ???")
    picture = decode(saved(RGB8, "TIFF", icc_profile=hollow), Reading(to_srgb=True))
    np.testing.assert_array_equal(picture.pixels, RGB8)
    assert picture.metadata.icc == hollow
    assert picture.notes == ("its colour profile cannot be applied",)
