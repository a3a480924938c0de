"""What comes out of files of every kind, sample by sample."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import pyvips
from PIL import Image, ImageOps

from arm_batch.core.arrays import Pixels
from arm_batch.core.image_options import Reading
from arm_batch.core.large_images import LargeImages
from arm_batch.errors import ImageError
from arm_batch.images import Picture, decode
from arm_batch.images.streaming import open_strips
from tests.image_files import chunk, deep_png, exif, noise, png, saved, smooth, tiff, with_alpha, with_chunk

RGB8, RGB16 = noise(0), noise(1, depth=16)
GREY8, GREY16 = RGB8[..., :1], RGB16[..., :1]
COLOUR, GREY = Image.fromarray(RGB8), Image.fromarray(GREY8[..., 0])
PALETTE = COLOUR.quantize(16)
PALETTE8 = np.asarray(PALETTE.convert("RGB"))
BLACK_WHITE = GREY.convert("1")
BLACK_WHITE8 = np.asarray(BLACK_WHITE.convert("L"))[..., None]
BANDS = noise(2, channels=7)

EXACT: dict[str, tuple[bytes, Pixels]] = {
    "png rgb": (saved(COLOUR, "PNG"), RGB8),
    "png grey": (saved(GREY, "PNG"), GREY8),
    "png palette": (saved(PALETTE, "PNG"), PALETTE8),
    "png 1 bit": (saved(BLACK_WHITE, "PNG"), BLACK_WHITE8),
    "png 2 bits": (png(4, 1, 2, 0, b"\0\x1b"), np.array([[[0], [85], [170], [255]]], np.uint8)),
    "png rgba opaque": (saved(with_alpha(RGB8, 255), "PNG"), RGB8),
    "png la opaque": (saved(Image.fromarray(with_alpha(GREY8, 255)), "PNG"), GREY8),
    "png palette opaque": (saved(PALETTE, "PNG", transparency=b"\xff\xff"), PALETTE8),
    "png rgb16": (deep_png(RGB16), RGB16),
    "png grey16": (deep_png(GREY16), GREY16),
    "png rgba16 opaque": (deep_png(with_alpha(RGB16, 65535)), RGB16),
    "tiff rgb": (saved(COLOUR, "TIFF"), RGB8),
    "tiff grey": (saved(GREY, "TIFF", compression="tiff_lzw"), GREY8),
    "tiff 1 bit": (saved(BLACK_WHITE, "TIFF"), BLACK_WHITE8),
    "tiff fax": (saved(BLACK_WHITE, "TIFF", compression="group4"), BLACK_WHITE8),
    "tiff palette": (saved(PALETTE, "TIFF"), PALETTE8),
    "tiff white is 0": (tiff(GREY8[..., 0], photometric="miniswhite"), 255 - GREY8),
    "tiff rgb16": (tiff(RGB16, photometric="rgb"), RGB16),
    "tiff grey16": (tiff(GREY16[..., 0]), GREY16),
    "tiff big-endian": (tiff(RGB16, photometric="rgb", byteorder=">"), RGB16),
    "tiff planes apart": (tiff(RGB8.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"), RGB8),
    "tiff tiled, 64-bit": (tiff(RGB8, photometric="rgb", tile=(16, 16), bigtiff=True), RGB8),
    "webp": (saved(COLOUR, "WEBP", lossless=True), RGB8),
    "webp rgba opaque": (saved(with_alpha(RGB8, 255), "WEBP", lossless=True), RGB8),
    "bmp": (saved(COLOUR, "BMP"), RGB8),
    "bmp grey": (saved(GREY, "BMP"), GREY8),
    "gif": (saved(PALETTE, "GIF"), PALETTE8),
    "jpeg 2000": (saved(COLOUR, "JPEG2000"), RGB8),
    "jpeg 2000 codestream": (saved(GREY, "JPEG2000", no_jp2=True), GREY8),
    "jpeg 2000 grey16": (saved(Image.fromarray(GREY16[..., 0]), "JPEG2000"), GREY16),
}


@pytest.mark.parametrize("name", EXACT)
def test_pixels_come_out_exactly(name: str) -> None:
    data, expected = EXACT[name]
    picture = decode(data)
    assert picture.pixels.dtype == expected.dtype
    np.testing.assert_array_equal(picture.pixels, expected)
    assert picture.pixels.flags.c_contiguous
    assert picture.pixels.flags.writeable
    assert (picture.planes.shape[2], picture.planes.dtype) == (0, expected.dtype)
    assert (picture.has_alpha, picture.notes) == (False, ())


LA16 = np.array([[[258, 65535], [772, 65534]]], np.uint16)
KEYED = np.where((RGB8[2, 3] == RGB8).all(axis=2), 0, 255)[..., None].astype(np.uint8)
KEYED_GREY = np.where(GREY8[2, 3] == GREY8, 0, 255).astype(np.uint8)
FIRST_HIDDEN = np.where(np.asarray(PALETTE) == 0, 0, 255)[..., None].astype(np.uint8)

TRANSPARENT: dict[str, tuple[bytes, Pixels]] = {
    "png rgba": (saved(with_alpha(RGB8, 254), "PNG"), with_alpha(RGB8, 254)),
    "png la": (saved(Image.fromarray(with_alpha(GREY8, 7)), "PNG"), with_alpha(GREY8, 7)),
    "png palette": (saved(PALETTE, "PNG", transparency=0), np.dstack([PALETTE8, FIRST_HIDDEN])),
    "png key colour": (saved(COLOUR, "PNG", transparency=tuple(RGB8[2, 3].tolist())), np.dstack([RGB8, KEYED])),
    "png key grey": (saved(GREY, "PNG", transparency=int(GREY8[2, 3, 0])), np.dstack([GREY8, KEYED_GREY])),
    "png key bit": (
        saved(BLACK_WHITE, "PNG", transparency=0),
        np.dstack([np.full_like(BLACK_WHITE8, 255), BLACK_WHITE8]),
    ),
    "png rgba16": (deep_png(with_alpha(RGB16, 65534)), with_alpha(RGB16, 65534)),
    "png la16": (png(2, 1, 16, 4, b"\0" + LA16.astype(">u2").tobytes()), LA16),
    "png key grey16": (
        png(2, 1, 16, 0, b"\0" + struct.pack(">2H", 258, 772), chunk(b"tRNS", struct.pack(">H", 772))),
        np.array([[[258, 65535], [258, 0]]], np.uint16),
    ),
    "webp": (saved(with_alpha(RGB8, 100), "WEBP", lossless=True), with_alpha(RGB8, 100)),
    "gif": (saved(PALETTE, "GIF", transparency=0), np.dstack([PALETTE8, FIRST_HIDDEN])),
    "jpeg 2000": (saved(with_alpha(RGB8, 9), "JPEG2000"), with_alpha(RGB8, 9)),
    "tiff rgba": (tiff(with_alpha(RGB8, 1), extrasamples=["unassalpha"]), with_alpha(RGB8, 1)),
    "tiff la": (saved(Image.fromarray(with_alpha(GREY8, 3)), "TIFF"), with_alpha(GREY8, 3)),
    "tiff rgba16": (tiff(with_alpha(RGB16, 1), extrasamples=["unassalpha"]), with_alpha(RGB16, 1)),
}


def visible(colours: Pixels, alpha: Pixels) -> Pixels:
    return np.where(alpha > 0, colours, 0)


@pytest.mark.parametrize("name", TRANSPARENT)
def test_alpha_becomes_a_plane(name: str) -> None:
    data, expected = TRANSPARENT[name]
    picture = decode(data)
    alpha = expected[..., -1:]
    assert picture.has_alpha
    np.testing.assert_array_equal(picture.planes, alpha)
    # What lies under full transparency is filled up, see test_transparency.
    np.testing.assert_array_equal(visible(picture.pixels, alpha), visible(expected[..., :-1], alpha))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_premultiplied_colours_are_divided(channels: int, depth: int) -> None:
    colours, peak = smooth(0, channels=channels, depth=depth), 2**depth - 1
    alpha = np.full((40, 60, 1), peak // 2, colours.dtype)
    multiplied = np.rint(colours * (alpha / peak)).astype(colours.dtype)
    photometric = "rgb" if channels == 3 else "minisblack"
    data = tiff(
        np.dstack([multiplied, alpha]), photometric=photometric, planarconfig="contig", extrasamples=["assocalpha"]
    )
    picture = decode(data)
    np.testing.assert_array_equal(picture.planes, alpha)
    assert np.abs(picture.pixels.astype(int) - colours).max() <= 1


@pytest.mark.parametrize(("space", "dtype"), [("lab", np.uint8), ("labs", np.uint16)])
def test_lab_becomes_rgb(space: str, dtype: type) -> None:
    pixels = smooth(0)
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
    # Of the white D50, as files hold it; libvips' own is D65.
    image = image.icc_import(input_profile="srgb", intent="relative").colourspace(space)
    picture = decode(image.tiffsave_buffer())
    assert picture.pixels.dtype == dtype
    assert np.abs(picture.pixels / (257 if dtype is np.uint16 else 1) - pixels).max() < 1.5
    assert picture.notes == ("Lab, converted to sRGB",)


BAND_KINDS = {
    "rgb and two": ("rgb", ["unspecified"] * 2, BANDS[..., :5], 3, False),
    "rgb, alpha and two": ("rgb", ["unassalpha", "unspecified", "unspecified"], BANDS[..., :6], 3, True),
    "grey and four": ("minisblack", ["unspecified"] * 4, BANDS[..., :5], 1, False),
}


@pytest.mark.parametrize("name", BAND_KINDS)
def test_bands_beyond_the_colours_become_planes(name: str) -> None:
    photometric, passthrough, bands, n_colours, has_alpha = BAND_KINDS[name]
    if has_alpha:
        bands = bands.copy()
        bands[..., 3] |= 1
    data = tiff(bands, photometric=photometric, planarconfig="contig", extrasamples=passthrough)
    picture = decode(data)
    np.testing.assert_array_equal(picture.pixels, bands[..., :n_colours])
    np.testing.assert_array_equal(picture.planes, bands[..., n_colours:])
    assert picture.has_alpha == has_alpha


FLOATS = np.linspace(-0.5, 1.5, 600, dtype=np.float32).reshape(20, 30)


@pytest.mark.parametrize(
    ("samples", "low", "high"),
    [
        (FLOATS, 0.0, 1.0),
        (FLOATS.astype(np.float16), -0.25, 0.75),
        ((FLOATS * 1000).astype(np.int16), -500.0, 1000.0),
        (np.arange(600, dtype=np.uint32).reshape(20, 30) * 10**6, 0.0, 4e8),
    ],
)
def test_samples_without_known_levels_take_a_range(samples: np.ndarray, low: float, high: float) -> None:
    data = tiff(samples)
    with pytest.raises(ImageError, match="--float-range"):
        decode(data)
    picture = decode(data, Reading(float_range=(low, high)))
    expected = np.rint(((samples.astype(float) - low) / (high - low)).clip(0, 1) * 65535)
    assert picture.pixels.dtype == np.uint16
    assert np.abs(picture.pixels[..., 0] - expected).max() <= 1
    assert "became 16 bits" in picture.notes[0]


def test_what_is_no_number_is_black() -> None:
    """And nothing is said about it, by numpy neither."""
    samples = FLOATS.copy()
    samples[3, 4], samples[5, 6], samples[7, 8] = np.nan, np.inf, -np.inf
    data, reading = tiff(samples), Reading(float_range=(0, 1))
    strips = open_strips(io.BytesIO(data), reading, LargeImages(pixels=1, streamed=1))
    for pixels in (decode(data, reading).pixels, strips.rows(0, 20)):
        assert [int(pixels[y, x, 0]) for y, x in ((3, 4), (5, 6), (7, 8))] == [0, 65535, 0]


PAGES = [noise(seed) for seed in (10, 11, 12)]
LATER = [Image.fromarray(page) for page in PAGES[1:]]

FRAMES = {
    "tiff": saved(PAGES[0], "TIFF", save_all=True, append_images=LATER),
    "webp": saved(PAGES[0], "WEBP", save_all=True, append_images=LATER, lossless=True),
    "apng": saved(PAGES[0], "PNG", save_all=True, append_images=LATER),
    "gif": saved(PAGES[0], "GIF", save_all=True, append_images=LATER),
    "avif": saved(PAGES[0], "AVIF", save_all=True, append_images=LATER, quality=100, subsampling="4:4:4"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_and_pages(name: str) -> None:
    data = FRAMES[name]
    with Image.open(io.BytesIO(data)) as image:
        for index in range(3):
            image.seek(index)
            expected = np.asarray(image.convert("RGB")) if name in ("gif", "avif") else PAGES[index]
            picture = decode(data, Reading(frames=index))
            np.testing.assert_array_equal(picture.pixels, expected)
            assert picture.notes == (f"frame {index} of 3",)
    np.testing.assert_array_equal(decode(data).pixels, decode(data, Reading(frames=0)).pixels)
    with pytest.raises(ImageError, match="no frame 3: 3 in all"):
        decode(data, Reading(frames=3))
    with pytest.raises(ImageError, match="has 3 frames or pages"):
        decode(data, Reading(frames="refuse"))


def test_one_frame_is_never_refused() -> None:
    np.testing.assert_array_equal(decode(saved(COLOUR, "PNG"), Reading(frames="refuse")).pixels, RGB8)
    with pytest.raises(ImageError, match="no frame 1: 1 in all"):
        decode(saved(COLOUR, "BMP"), Reading(frames=1))


def test_a_phone_jpeg_with_a_second_picture() -> None:
    data = saved(COLOUR, "MPO", save_all=True, append_images=[GREY.convert("RGB")])
    picture = decode(data, Reading(frames="refuse"))
    np.testing.assert_array_equal(picture.pixels, decode(saved(COLOUR, "JPEG")).pixels)


def test_lossy_kinds() -> None:
    gradient = Image.linear_gradient("L").resize((40, 30))
    colour = Image.merge("RGB", [gradient, gradient.rotate(180), gradient])
    for format, mode, channels in (("JPEG", "L", 1), ("JPEG", "RGB", 3), ("WEBP", "RGB", 3), ("AVIF", "RGB", 3)):
        picture = decode(saved(colour.convert(mode), format, quality=98))
        assert picture.pixels.shape == (30, 40, channels)
        reference = np.asarray(colour.convert(mode), float).reshape(picture.pixels.shape)
        assert np.abs(picture.pixels - reference).mean() < 3
    transparent = decode(saved(with_alpha(RGB8, 0), "AVIF"))
    assert transparent.has_alpha
    assert transparent.planes.shape == (20, 30, 1)


SOURCES = {
    "jpeg": saved(COLOUR, "JPEG"),
    "png": saved(COLOUR, "PNG"),
    "webp": saved(COLOUR, "WEBP"),
    "webp-lossless": saved(COLOUR, "WEBP", lossless=True),
    "tiff": saved(COLOUR, "TIFF"),
    "bmp": saved(COLOUR, "BMP"),
    "gif": saved(PALETTE, "GIF"),
    "avif": saved(COLOUR, "AVIF"),
    "jp2": saved(COLOUR, "JPEG2000", irreversible=True),
    "jp2-lossless": saved(COLOUR, "JPEG2000", no_jp2=True),
}


def test_the_format_is_told_by_the_content() -> None:
    assert {name: decode(data).format for name, data in SOURCES.items()} == {name: name for name in SOURCES}
    for lossless, name in ((True, "webp-lossless"), (False, "webp")):
        animated = saved(COLOUR, "WEBP", save_all=True, append_images=LATER, lossless=lossless)
        assert decode(animated).format == name


@pytest.mark.parametrize("channels", [3, 4])
def test_deep_jpeg_2000_keeps_its_bits(channels: int) -> None:
    pixels = smooth(0, 128, 160, channels, depth=16)
    swapped = pixels[..., [2, 1, 0, *range(3, channels)]]
    picture = decode(cv2.imencode(".jp2", swapped, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])[1].tobytes())
    decoded = np.concatenate([picture.pixels, picture.planes], axis=2)
    assert decoded.dtype == np.uint16
    # Of 8 bits not even a quarter would come that near.
    assert (np.abs(decoded.astype(int) - pixels) < 32).mean() > 0.9


def test_deep_avif_is_cut_and_says_so() -> None:
    image = pyvips.Image.new_from_array(RGB8).copy(interpretation="srgb")
    for depth, notes in ((8, ()), (10, ("cut from 10 to 8 bits",)), (12, ("cut from 12 to 8 bits",))):
        data = image.heifsave_buffer(compression="av1", bitdepth=depth, effort=0)
        assert decode(data).notes == notes


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(orientation: int) -> None:
    block = exif(orientation=orientation)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(saved(COLOUR, "PNG", exif=block)))))
    for written in (
        saved(COLOUR, "PNG", exif=block),
        saved(COLOUR, "WEBP", lossless=True, exif=block),
        saved(COLOUR, "TIFF", exif=block),
    ):
        np.testing.assert_array_equal(decode(written).pixels, upright)
    for format in ("JPEG", "AVIF"):
        assert decode(saved(COLOUR, format, exif=block)).pixels.shape == upright.shape
    deep = with_chunk(deep_png(RGB8.astype(np.uint16) * 257), b"eXIf", block.removeprefix(b"Exif\0\0"))
    np.testing.assert_array_equal(decode(deep).pixels, upright.astype(np.uint16) * 257)
    planes = decode(saved(with_alpha(RGB8, 9), "PNG", exif=block)).planes
    assert planes.shape == (*upright.shape[:2], 1)
    assert (planes == 9).sum() == 1


REFUSED = {
    "empty": (b"", "empty file"),
    "text": (b"this is no JPEG\n" * 20, "not an image"),
    "html": (b"<!DOCTYPE html><html>404</html>", "not an image"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not an image"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),
    "png head": (b"\x89PNG\r\n\x1a\n", "has no pixels"),
    "bomb": (png(32768, 32769, 8, 2, b""), "allowed"),
    "greater bomb": (png(2**31 - 1, 2**31 - 1, 8, 2, b""), "allowed"),
    "16-bit bomb": (png(60000, 60000, 16, 2, b""), "allowed"),
    "broken 16-bit tiff": (tiff(RGB16, photometric="rgb")[:100], "."),
    "heif": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), r"arm-batch\[heif\]|cannot be decoded"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(ImageError, match=reason) as caught:
        decode(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", SOURCES)
def test_too_many_pixels_are_refused_before_they_are_decoded(name: str) -> None:
    data = SOURCES[name]
    assert decode(data, Reading(max_pixels=600)).pixels.shape == (20, 30, 3)
    with pytest.raises(ImageError, match="30 x 20 px are more than the 599 allowed"):
        decode(data, Reading(max_pixels=599))


def test_many_bands_count_as_many_images() -> None:
    data = tiff(BANDS, photometric="minisblack", planarconfig="contig")
    assert decode(data, Reading(max_pixels=1200)).planes.shape == (20, 30, 6)
    with pytest.raises(ImageError, match="30 x 20 px"):
        decode(data, Reading(max_pixels=1199))


SOUND = SOURCES | {"png16": deep_png(RGB16), "tiff16": tiff(RGB16, photometric="rgb", compression="zlib")}


@pytest.mark.parametrize("name", SOUND)
def test_truncated_files(name: str) -> None:
    data = SOUND[name]
    for tenth in range(10):
        with pytest.raises(ImageError):
            decode(data[: len(data) * tenth // 10])


@pytest.mark.parametrize("name", SOUND)
def test_damaged_files_never_crash(name: str) -> None:
    generator = np.random.default_rng(2)
    for _ in range(60):
        data = bytearray(SOUND[name])
        for place in generator.integers(0, len(data), 8):
            data[place] = generator.integers(256)
        with contextlib.suppress(ImageError):
            picture = decode(bytes(data), Reading(max_pixels=10**6, float_range=(0, 1)))
            assert_sound(picture)


def assert_sound(picture: Picture) -> None:
    assert picture.pixels.shape[2] in (1, 3)
    assert picture.pixels.dtype == picture.planes.dtype
    assert picture.planes.shape[:2] == picture.pixels.shape[:2]
    assert picture.planes.shape[2] >= picture.has_alpha


def test_threads_leave_the_warning_filters_as_they_were() -> None:
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(decode, [SOUND["jpeg"]] * 64))
    assert list(warnings.filters) == before


def test_what_is_odd_in_one_file_is_not_told_of_the_next() -> None:
    odd = SOUND["jpeg"].replace(b"\xff\xdb", b"\0\0\xff\xdb", 1)
    assert decode(odd).pixels.shape == (20, 30, 3)
    with pytest.raises(ImageError, match=r"^cannot be decoded as PNG: its data is damaged$"):
        decode(SOUND["png"][:29] + b"\0\0\0\0" + SOUND["png"][33:])


TILED = tiff(RGB8, photometric="rgb", tile=(16, 16))
TILES_APART = tiff(RGB8.transpose(2, 0, 1), photometric="rgb", planarconfig="separate", tile=(16, 16))


@pytest.mark.parametrize("data", [TILED, TILES_APART], ids=["together", "apart"])
def test_tiles_that_are_missing_are_noticed(data: bytes) -> None:
    np.testing.assert_array_equal(decode(data).pixels, RGB8)
    for tenth in range(10):
        with pytest.raises(ImageError):
            decode(data[: len(data) * tenth // 10])


def test_what_is_odd_about_tiles_is_passed_over() -> None:
    (counts,) = struct.unpack_from("<I", TILED, TILED.index(struct.pack("<HHI", 325, 3, 4)) + 8)
    longer = TILED[:counts] + struct.pack("<H", 16 * 16 * 3 + 9) + TILED[counts + 2 :]
    twice = TILED.replace(struct.pack("<HHI", 283, 5, 1), struct.pack("<HHI", 282, 5, 1))
    for odd in (longer, twice):
        assert odd != TILED
        np.testing.assert_array_equal(decode(odd).pixels, RGB8)


def test_planes_apart_that_do_not_fit_their_bands() -> None:
    place = TILES_APART.index(struct.pack("<HHI", 324, 4, 12))
    fewer = TILES_APART[:place] + struct.pack("<HHI", 324, 4, 11) + TILES_APART[place + 8 :]
    with pytest.raises(ImageError, match="cannot be decoded"):
        decode(fewer)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_planes_apart_that_are_premultiplied(dtype: type) -> None:
    peak = 1 if dtype is np.float32 else np.iinfo(dtype).max
    alpha = np.linspace(peak // 2, peak, RGB8[..., 0].size).reshape(RGB8.shape[:2])
    straight = RGB8 / 255 * peak
    multiplied = np.dstack([straight * alpha[..., None] / peak, alpha])
    if dtype is not np.float32:
        multiplied = np.rint(multiplied)
    data = tiff(
        multiplied.astype(dtype).transpose(2, 0, 1),
        photometric="rgb",
        planarconfig="separate",
        tile=(16, 16),
        extrasamples=["assocalpha"],
    )
    if dtype is np.float32:
        with pytest.raises(ImageError, match="premultiplied by alpha, which is not read"):
            decode(data, Reading(float_range=(0, 1)))
        return
    picture = decode(data)
    assert picture.has_alpha
    np.testing.assert_allclose(picture.pixels, straight, atol=2.01)


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}, {"tile": (16, 16)}])
def test_samples_of_64_bits(options: dict[str, object]) -> None:
    pages = np.stack([GREY16[..., 0], GREY16[::-1, :, 0]]) / 65535
    for index, page in enumerate(pages):
        picture = decode(tiff(pages, **options), Reading(float_range=(0, 1), frames=index))
        np.testing.assert_array_equal(picture.pixels[..., 0], np.rint(page * 65535))
    with pytest.raises(ImageError, match="30 x 20 px are more than the 599"):
        decode(tiff(pages, **options), Reading(float_range=(0, 1), max_pixels=599))


def test_a_later_frame_may_not_be_larger_than_allowed() -> None:
    """Found by fuzzing: 5 KB that took 1.3 GiB."""
    data = saved(PALETTE, "GIF", save_all=True, append_images=[Image.fromarray(noise(5)).quantize(16)])
    later = [n for n in range(len(data) - 9) if data[n : n + 9] == b"\x2c" + struct.pack("<4H", 0, 0, 30, 20)][-1]
    grown = data[:later] + b"\x2c" + struct.pack("<4H", 0, 0, 40_000, 40_000) + data[later + 9 :]
    assert decode(grown, Reading(max_pixels=10**6)).pixels.shape == (20, 30, 3)
    with pytest.raises(ImageError, match="40000 x 40000 px are more than the 1,000,000 allowed"):
        decode(grown, Reading(max_pixels=10**6, frames=1))


@pytest.mark.parametrize("compressed", [b"", b"no zlib", zlib.compress(bytes(2**25), 9)])
def test_a_profile_in_png_that_makes_no_sense_is_told(compressed: bytes) -> None:
    picture = decode(with_chunk(SOUND["png"], b"iCCP", b"name\0\0" + compressed))
    assert picture.notes == ("its colour profile is broken and is dropped",)
    np.testing.assert_array_equal(picture.pixels, RGB8)
