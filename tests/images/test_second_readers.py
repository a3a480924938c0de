"""Files that one library refuses and that are sound all the same."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from arm_batch.core.arrays import Pixels
from arm_batch.core.image_options import Reading
from arm_batch.errors import ImageError
from arm_batch.images import decode
from tests.image_files import noise, saved, smooth

TILE_PART, DATA = b"\xff\x90\x00\x0a", b"\xff\x93"


def in_odd_parts(jp2: bytes) -> bytes:
    """The only tile of a JPEG 2000 file in two parts, which say that they are one: Pillow gives up then."""
    start = jp2.index(TILE_PART)
    body = jp2.index(DATA, start) + 2
    middle = (body + len(jp2)) // 2

    def header(number: int, length: int) -> bytes:
        return TILE_PART + struct.pack(">HIBB", 0, length, number, 1)

    head = jp2[start + 12 : body]
    first = head + jp2[body:middle]
    second = DATA + jp2[middle:-2]
    parts = header(0, 12 + len(first)) + first + header(1, 12 + len(second)) + second + jp2[-2:]
    # What comes before them is the header of a box, which reaches to the end.
    box = jp2.index(b"jp2c") - 4
    return jp2[:box] + bytes(4) + jp2[box + 4 : start] + parts


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_2000_that_pillow_refuses(channels: int) -> None:
    pixels = smooth(2, channels=channels)
    data = in_odd_parts(saved(pixels, "JPEG2000"))
    with pytest.raises(OSError, match="broken data stream"):
        Image.open(io.BytesIO(data)).load()
    picture = decode(data)
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert (picture.format, picture.notes) == ("jp2-lossless", ())
    for cut in (10, 100, 500):
        with pytest.raises(ImageError, match="its data is damaged"):
            decode(data[:-cut])
    with pytest.raises(ImageError, match="are more than the 100 allowed"):
        decode(data, Reading(max_pixels=100))


def bmp(pixels: Pixels, bits: int, masks: tuple[int, ...], header: int = 40, compression: int = 3) -> bytes:
    """A file whose pixels are numbers, ``(h, w)``, from top to bottom, under a header of so many bytes."""
    height, width = pixels.shape
    rows = np.ascontiguousarray(pixels.astype("<u2" if bits == 16 else "<u4")).view(np.uint8).reshape(height, -1)
    body = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))[::-1].tobytes()
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, 0, 3937, 3937, 0, 0)
    info = (info + struct.pack(f"<{len(masks)}I", *masks)).ljust(header, b"\0")
    start = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + body


MASKS = {
    "1-0-1-1-1-0": (32, (0x3FC, 0x3FF000, 0xFFC00000), 40),
    "7-1-8-7": (32, (0xFE000000, 0x1F80000, 0x7F), 40),
    "5-5-5": (16, (0x7C00, 0x3E0, 0x1F), 40),
    "5-6-5": (16, (0xF800, 0x7E0, 0x1F), 52),
    "2-3-1": (16, (0x3, 0x1C, 0x20), 40),
    "4-4-4-4": (16, (0xF00, 0xF0, 0xF, 0xF000), 108),
    "reversed": (32, (0xFF, 0xFF00, 0xFF0000), 124),
    "no blue": (32, (0xFF, 0xFF00, 0), 40),
}


@pytest.mark.parametrize("name", MASKS)
def test_bmp_with_any_masks(name: str) -> None:
    bits, masks, header = MASKS[name]
    padded = masks if header < 56 or len(masks) == 4 else (*masks, 0)
    rgba = noise(4, 9, 13, channels=len(masks))
    pixels = np.zeros(rgba.shape[:2], np.uint64)
    expected = np.zeros(rgba.shape, np.uint8)
    for band, mask in enumerate(masks):
        if mask:
            lowest = mask & -mask
            values = rgba[..., band].astype(np.uint64) * (mask // lowest) // 255
            pixels |= values * np.uint64(lowest)
            expected[..., band] = np.rint(values * (255 / (mask // lowest)))
    picture = decode(bmp(pixels, bits, padded, header))
    found = np.dstack([picture.pixels, picture.planes])
    # What nobody sees has no colour of its own.
    seen = expected[..., 3:] > 0 if len(masks) == 4 else True
    np.testing.assert_array_equal(found * seen, expected * seen)
    assert picture.has_alpha == (len(masks) == 4)
    assert picture.metadata.dpi == pytest.approx((100, 100), abs=0.1)


def test_bmp_with_masks_from_top_to_bottom_and_with_empty_alpha() -> None:
    pixels = noise(5, 4, 6, channels=1)[..., 0].astype(np.uint32) * 0x10101
    data = bytearray(bmp(pixels[::-1], 32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), compression=6))
    struct.pack_into("<i", data, 22, -4)
    picture = decode(bytes(data))
    np.testing.assert_array_equal(picture.pixels, np.repeat((pixels & 0xFF)[..., None], 3, axis=2))
    assert not picture.has_alpha


BROKEN = {
    "rows are missing": bmp(np.zeros((9, 9)), 32, (0xFF, 0xFF00, 0x7F0000))[:-40],
    "not side by side": bmp(np.zeros((9, 9)), 32, (0x5, 0xFF00, 0x7F0000)),
    "leave no colour": bmp(np.zeros((9, 9)), 16, (0, 0, 0)),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_bmp_with_masks_that_is_broken(reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode(BROKEN[reason])


def indexed_bmp(indices: Pixels, bits: int, colours: Pixels, header: int = 40, count: int | None = None) -> bytes:
    """A file of palette colours, ``(n, 3)``, and indices ``(h, w)``."""
    height, width = indices.shape
    rows = [
        np.packbits((line[:, None] >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8).ravel())
        for line in indices
    ]
    body = b"".join(row.tobytes().ljust(-(-width * bits // 32) * 4, b"\0") for row in rows[::-1])
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, 0, 0, 0, 0, count or 0, 0)[:header]
    palette = np.dstack([colours[None, :, ::-1], np.zeros((1, len(colours), 1), np.uint8)]).tobytes()
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + palette + body


@pytest.mark.parametrize(
    ("bits", "header", "colours", "count"),
    [(2, 40, 4, None), (2, 40, 3, 3), (8, 16, 256, None), (1, 16, 2, None), (4, 16, 16, None), (8, 40, 300, 300)],
)
def test_bmp_with_palettes_that_pillow_refuses(bits: int, header: int, colours: int, count: int | None) -> None:
    palette = noise(1, 1, colours, channels=3)[0]
    indices = np.random.default_rng(2).integers(0, min(colours, 1 << bits), (7, 13)).astype(np.uint8)
    data = indexed_bmp(indices, bits, palette, header, count)
    np.testing.assert_array_equal(decode(data).pixels, palette[indices])
    with pytest.raises(ImageError, match="rows are missing"):
        decode(data[:-8])
    with pytest.raises(ImageError, match="are more than the 50 allowed"):
        decode(data, Reading(max_pixels=50))


@pytest.mark.parametrize(("format", "compression"), [("JPEG", 4), ("PNG", 5)])
def test_bmp_around_another_file(format: str, compression: int) -> None:
    inside = saved(smooth(6), format)
    info = struct.pack("<IiiHHIIiiII", 40, 60, 40, 1, 0, compression, len(inside), 0, 0, 0, 0)
    data = b"BM" + struct.pack("<IHHI", 54 + len(inside), 0, 0, 54) + info + inside
    picture = decode(data)
    np.testing.assert_array_equal(picture.pixels, decode(inside).pixels)
    assert picture.format == format.lower()
    with pytest.raises(ImageError):
        decode(data[:-400])
