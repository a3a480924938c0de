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
from PIL import Image, ImageOps

from arm_batch.core.tiles import Pixels
from arm_batch.errors import ImageError
from arm_batch.store.codecs import FORMATS, MAX_PIXELS, check_encodable, decode, encode

RGB8 = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
RGB16 = np.random.default_rng(1).integers(0, 65536, (20, 30, 3)).astype(np.uint16)


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def cv2_saved(extension: str, pixels: Pixels) -> bytes:
    swapped = pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]] if pixels.shape[2] > 2 else pixels
    return cv2.imencode(extension, np.ascontiguousarray(swapped))[1].tobytes()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def exif(orientation: int) -> bytes:
    data = Image.Exif()
    data[274] = orientation
    return data.tobytes()


def alpha(pixels: Pixels, value: int) -> Pixels:
    """With an alpha channel of which one pixel has `value`, the rest is opaque."""
    top = np.full((*pixels.shape[:2], 1), np.iinfo(pixels.dtype).max, pixels.dtype)
    top[3, 4] = value
    return np.concatenate([pixels, top], axis=2)


GREY8, GREY16 = RGB8[..., :1], RGB16[..., :1]
COLOUR = Image.fromarray(RGB8)
GREY = Image.fromarray(GREY8[..., 0])
PALETTE = COLOUR.quantize(16)
BLACK_WHITE = GREY.convert("1")

EXACT = {
    "png rgb": (saved(COLOUR, "PNG"), RGB8),
    "png grey": (saved(GREY, "PNG"), GREY8),
    "png palette": (saved(PALETTE, "PNG"), np.asarray(PALETTE.convert("RGB"))),
    "png 1 bit": (saved(BLACK_WHITE, "PNG"), np.asarray(BLACK_WHITE.convert("L"))[..., None]),
    "png rgba opaque": (saved(Image.fromarray(alpha(RGB8, 255)), "PNG"), RGB8),
    "png la opaque": (saved(Image.fromarray(alpha(GREY8, 255)), "PNG"), GREY8),
    "png palette opaque": (saved(PALETTE, "PNG", transparency=b"\xff\xff"), np.asarray(PALETTE.convert("RGB"))),
    "png rgb16": (cv2_saved(".png", RGB16), RGB16),
    "png grey16": (cv2_saved(".png", GREY16), GREY16),
    "png rgba16 opaque": (cv2_saved(".png", alpha(RGB16, 65535)), RGB16),
    "png la16 opaque": (
        png(2, 1, 16, 4, b"\0" + struct.pack(">4H", 258, 65535, 772, 65535)),
        np.array([[[258], [772]]], np.uint16),
    ),
    "tiff rgb": (saved(COLOUR, "TIFF"), RGB8),
    "tiff grey": (saved(GREY, "TIFF", compression="tiff_lzw"), GREY8),
    "tiff 1 bit": (saved(BLACK_WHITE, "TIFF"), np.asarray(BLACK_WHITE.convert("L"))[..., None]),
    "tiff rgb16": (cv2_saved(".tiff", RGB16), RGB16),
    "tiff grey16": (saved(Image.fromarray(GREY16[..., 0]), "TIFF"), GREY16),
    "webp lossless": (saved(COLOUR, "WEBP", lossless=True), RGB8),
    "webp rgba opaque": (saved(Image.fromarray(alpha(RGB8, 255)), "WEBP", lossless=True), RGB8),
    "bmp": (saved(COLOUR, "BMP"), RGB8),
    "bmp grey": (saved(GREY, "BMP"), GREY8),
    "bmp palette": (saved(PALETTE, "BMP"), np.asarray(PALETTE.convert("RGB"))),
}


@pytest.mark.parametrize("name", EXACT)
def test_lossless_files(name: str) -> None:
    data, expected = EXACT[name]
    pixels = decode(data)
    assert pixels.dtype == expected.dtype
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable


def test_jpeg_kinds() -> None:
    smooth = Image.linear_gradient("L").resize((40, 30))
    colour = Image.merge("RGB", [smooth, smooth.rotate(180), smooth])
    for mode, channels in (("L", 1), ("RGB", 3), ("CMYK", 3)):
        pixels = decode(saved(colour.convert(mode), "JPEG", quality=98))
        assert pixels.shape == (30, 40, channels)
        assert pixels.dtype == np.uint8
        reference = np.asarray(colour.convert(mode).convert("L" if channels == 1 else "RGB"), float)
        assert np.abs(pixels.astype(float) - reference.reshape(pixels.shape)).mean() < 3


def test_a_phone_jpeg_with_a_second_picture() -> None:
    data = saved(COLOUR, "MPO", save_all=True, append_images=[GREY.convert("RGB")])
    np.testing.assert_array_equal(decode(data), decode(saved(COLOUR, "JPEG")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    data = exif(orientation)
    tagged = Image.open(io.BytesIO(saved(COLOUR, "PNG", exif=data)))
    upright = np.asarray(ImageOps.exif_transpose(tagged))
    for written in (
        saved(COLOUR, "PNG", exif=data),
        saved(COLOUR, "WEBP", lossless=True, exif=data),
        saved(COLOUR, "TIFF", exif=data),
    ):
        np.testing.assert_array_equal(decode(written), upright)
    assert decode(saved(COLOUR, "JPEG", exif=data)).shape == upright.shape
    # 16 bits go another way; 257 makes them comparable.
    wide = RGB8.astype(np.uint16) * 257
    sixteen = cv2_saved(".png", wide)
    with_exif = sixteen[:33] + chunk(b"eXIf", data.removeprefix(b"Exif\0\0")) + sixteen[33:]
    np.testing.assert_array_equal(decode(with_exif), upright.astype(np.uint16) * 257)
    tiff = Image.fromarray(wide[..., 0])
    np.testing.assert_array_equal(
        decode(saved(tiff, "TIFF", exif=data))[..., 0], upright[..., 0].astype(np.uint16) * 257
    )


TRANSPARENT = {
    "rgba": saved(Image.fromarray(alpha(RGB8, 254)), "PNG"),
    "la": saved(Image.fromarray(alpha(GREY8, 0)), "PNG"),
    "webp": saved(Image.fromarray(alpha(RGB8, 100)), "WEBP", lossless=True),
    "palette": saved(PALETTE, "PNG", transparency=0),
    "key colour": saved(COLOUR, "PNG", transparency=tuple(RGB8[0, 0].tolist())),
    "key grey": saved(GREY, "PNG", transparency=int(GREY8[0, 0, 0])),
    "rgba16": cv2_saved(".png", alpha(RGB16, 65534)),
    "la16": png(2, 1, 16, 4, b"\0" + struct.pack(">4H", 258, 65535, 772, 65534)),
    "key grey16": png(2, 1, 16, 0, b"\0" + struct.pack(">2H", 258, 772), chunk(b"tRNS", struct.pack(">H", 772))),
    "tiff rgba": saved(Image.fromarray(alpha(RGB8, 0)), "TIFF"),
    "tiff rgba16": cv2_saved(".tiff", alpha(RGB16, 0)),
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_transparency_is_refused(name: str) -> None:
    with pytest.raises(ImageError, match="transparency"):
        decode(TRANSPARENT[name])


REFUSED = {
    "empty": (b"", "empty file"),
    "text": (b"this is no JPEG\n" * 20, "not an image"),
    "html": (b"<!DOCTYPE html><html>404</html>", "not an image"),
    "gif": (saved(PALETTE, "GIF"), "not an image in a known format"),
    "float tiff": (saved(Image.fromarray(RGB8[..., 0].astype(np.float32)), "TIFF"), "32-bit"),
    "int32 tiff": (saved(Image.fromarray(RGB8[..., 0].astype(np.int32)), "TIFF"), "32-bit"),
    "animated png": (saved(COLOUR, "PNG", save_all=True, append_images=[GREY.convert("RGB")]), "several frames"),
    "animated webp": (saved(COLOUR, "WEBP", save_all=True, append_images=[GREY.convert("RGB")]), "several frames"),
    "tiff pages": (saved(COLOUR, "TIFF", save_all=True, append_images=[GREY.convert("RGB")]), "several frames"),
    "bomb": (png(16384, 16385, 8, 2, b""), "allowed|more than"),
    "greater bomb": (png(2**31 - 1, 2**31 - 1, 8, 2, b""), "allowed|more than"),
    "16-bit bomb": (png(60000, 60000, 16, 2, b""), "allowed|more than"),
    "broken 16-bit tiff": (cv2_saved(".tiff", RGB16)[:100], "."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(ImageError, match=reason) as caught:
        decode(data)
    assert "\n" not in str(caught.value)


def test_large_but_allowed_images_do_not_warn() -> None:
    assert (Image.MAX_IMAGE_PIXELS or 0) < 12000 * 12000
    assert MAX_PIXELS > 12000 * 12000
    # Its data ends early: what matters is that the size alone neither warned nor refused it.
    with pytest.raises(ImageError, match="cannot be decoded"):
        decode(png(12000, 12000, 8, 0, b"\0"))


SOUND = {
    "png": EXACT["png rgb"][0],
    "png16": EXACT["png rgb16"][0],
    "jpeg": saved(COLOUR, "JPEG"),
    "webp": saved(COLOUR, "WEBP"),
    "tiff": EXACT["tiff rgb"][0],
    "tiff16": EXACT["tiff rgb16"][0],
    "bmp": EXACT["bmp"][0],
}


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
            assert decode(bytes(data)).shape[2] in (1, 3)


@pytest.mark.parametrize("pixels", [RGB8, GREY8, RGB16, GREY16], ids=["rgb8", "grey8", "rgb16", "grey16"])
def test_png_comes_back_exactly(pixels: Pixels) -> None:
    data = encode(pixels, "png")
    decoded = decode(data)
    assert decoded.dtype == pixels.dtype
    np.testing.assert_array_equal(decoded, pixels)
    assert encode(pixels[:, ::-1][:, ::-1], "png") == data


@pytest.mark.parametrize(("format", "magic"), [("jpeg", b"\xff\xd8"), ("webp", b"RIFF")])
def test_lossy_formats(format: str, magic: bytes) -> None:
    row = np.linspace(0, 255, 64).astype(np.uint8)
    smooth = np.stack(np.broadcast_arrays(row[None], row[:, None], row[None, ::-1]), axis=2)
    good, poor = encode(smooth, format, 95), encode(smooth, format, 20)
    assert good.startswith(magic)
    assert len(poor) < len(good)
    assert np.abs(decode(good).astype(int) - smooth).mean() < 4
    assert decode(encode(smooth[..., :1], format)).shape[:2] == (64, 64)


def test_what_a_format_cannot_hold() -> None:
    for format, chosen in FORMATS.items():
        side = chosen.max_side
        check_encodable(side, 1, np.dtype(np.uint8), format)
        for height, width in ((side + 1, 1), (1, side + 1)):
            with pytest.raises(ImageError, match=format):
                check_encodable(height, width, np.dtype(np.uint8), format)
        if not chosen.sixteen_bit:
            with pytest.raises(ImageError, match="16 bits"):
                encode(RGB16, format)
    strip = np.zeros((1, 16_383, 1), np.uint8)
    assert decode(encode(strip, "webp")).shape[:2] == (1, 16_383)
    assert decode(encode(np.zeros((65_500, 1, 1), np.uint8), "jpeg")).shape == (65_500, 1, 1)


def test_threads_leave_the_warning_filters_as_they_were() -> None:
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(decode, [SOUND["jpeg"]] * 64))
    assert list(warnings.filters) == before
