"""What is written, and in which format."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from arm_batch.core.arrays import Pixels
from arm_batch.core.image_options import AUTO, FormatName
from arm_batch.errors import ImageError
from arm_batch.images import FORMATS, Picture, choose_format, decode, encode
from arm_batch.images.formats import EXTENSION_FAMILY, FAMILY
from arm_batch.images.read_pillow import PILLOW_NAMES
from arm_batch.inputs.sources import EXTENSIONS
from tests.image_files import noise, smooth


def picture(channels: int, planes: int = 0, depth: int = 8, has_alpha: bool = False) -> Picture:
    return Picture(
        pixels=noise(0, channels=channels, depth=depth),
        planes=noise(1, channels=planes, depth=depth),
        has_alpha=has_alpha,
    )


LOSSLESS = [
    *[("png", channels, planes, depth) for channels in (1, 3) for planes in (0, 1) for depth in (8, 16)],
    *[("tiff", channels, planes, depth) for channels in (1, 3) for planes in (0, 1, 3) for depth in (8, 16)],
]


@pytest.mark.parametrize(("format", "channels", "planes", "depth"), LOSSLESS)
def test_lossless_formats_give_back_what_they_got(format: str, channels: int, planes: int, depth: int) -> None:
    before = picture(channels, planes, depth, has_alpha=planes > 0)
    # A hidden colour would be filled up.
    before.planes[before.planes == 0] = 1
    data = encode(before, format)
    after = decode(data)
    assert after.pixels.dtype == before.pixels.dtype
    np.testing.assert_array_equal(after.pixels, before.pixels)
    np.testing.assert_array_equal(after.planes, before.planes)
    assert after.has_alpha == before.has_alpha
    # A view of other strides is the same picture.
    turned = Picture(
        pixels=before.pixels[::-1, ::-1].copy()[::-1, ::-1], planes=before.planes, has_alpha=before.has_alpha
    )
    assert encode(turned, format) == data


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_lossy_formats(format: str) -> None:
    pixels = smooth(0, 64, 64)
    good, poor = encode(Picture.plain(pixels), format, 95), encode(Picture.plain(pixels), format, 20)
    assert len(poor) < len(good)
    assert decode(good).format == format
    assert np.abs(decode(good).pixels.astype(int) - pixels).mean() < 2
    grey = decode(encode(Picture.plain(pixels[..., :1]), format)).pixels
    assert np.abs(grey.astype(int) - pixels[..., :1]).mean() < 2
    assert encode(Picture.plain(pixels), format, 95) == good
    if FORMATS[format].alpha:
        alpha = smooth(1, 64, 64, 1)
        after = decode(encode(Picture(pixels=pixels, planes=alpha, has_alpha=True), format))
        assert np.abs(after.planes.astype(int) - alpha).mean() < 2
        assert np.abs(after.pixels.astype(int) - pixels).mean() < 2


def test_the_tables_agree() -> None:
    assert set(FORMATS) == set(get_args(FormatName))
    assert set(FAMILY.values()) | set(EXTENSION_FAMILY.values()) <= set(FORMATS)
    assert set(FAMILY) == {*PILLOW_NAMES, "tiff"}
    assert set(EXTENSION_FAMILY) < EXTENSIONS


U8, U16 = np.dtype(np.uint8), np.dtype(np.uint16)


@pytest.mark.parametrize(
    ("wanted", "source", "size", "dtype", "has_alpha", "planes", "format", "why"),
    [
        (AUTO, "jpeg", (10, 10), U8, False, 0, "jpeg", None),
        (AUTO, "webp", (10, 10), U8, True, 1, "webp", None),
        (AUTO, "webp-lossless", (10, 10), U8, True, 1, "png", None),
        (AUTO, "gif", (10, 10), U8, True, 1, "png", None),
        (AUTO, "tiff", (10, 10), U16, True, 4, "tiff", None),
        (AUTO, "jp2", (10, 10), U16, False, 0, "png", "16 bits per channel do not fit into jpeg"),
        (AUTO, "jpeg", (65_501, 10), U8, False, 0, "png", "10 x 65501 px do not fit into jpeg"),
        ("jpeg", "png", (10, 10), U8, True, 1, "png", "transparent pixels do not fit into jpeg"),
        ("webp", "png", (10, 16_384), U8, False, 0, "png", "16384 x 10 px do not fit into webp"),
        ("webp", "png", (10, 16_383), U8, False, 0, "webp", None),
        ("avif", "png", (16_385, 10), U8, False, 0, "png", "10 x 16385 px do not fit into avif"),
        ("png", "tiff", (10, 10), U8, True, 2, "tiff", "bands beside the colours do not fit into png"),
        ("png", "png", (10, 1_000_001), U8, True, 1, "tiff", "1000001 x 10 px do not fit into png"),
        ("avif", "tiff", (10, 10), U16, False, 1, "tiff", "16 bits per channel do not fit into avif"),
    ],
)
def test_an_image_gets_a_format_that_holds_it(
    wanted: str,
    source: str,
    size: tuple[int, int],
    dtype: np.dtype[np.generic],
    has_alpha: bool,
    planes: int,
    format: str,
    why: str | None,
) -> None:
    chosen, note = choose_format(wanted, source, *size, dtype, has_alpha, planes)
    assert chosen == format
    assert note == (None if why is None else f"written as {format}: {why}")


def test_what_no_format_holds() -> None:
    with pytest.raises(ImageError, match="do not fit into any format"):
        choose_format(AUTO, "png", 10_000_001, 1, U8, False, 0)


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "avif"])
def test_sides_end_where_the_table_says(format: str) -> None:
    side = FORMATS[format].max_side
    for shape in ((1, side, 1), (side, 1, 1)):
        assert decode(encode(Picture.plain(np.zeros(shape, np.uint8)), format)).pixels.shape[:2] == shape[:2]
        longer = Picture.plain(np.zeros((shape[0] + (shape[0] > 1), shape[1] + (shape[1] > 1), 1), np.uint8))
        with pytest.raises(ImageError, match=f"cannot be written as {format}"):
            encode(longer, format)


@pytest.mark.parametrize(
    ("format", "kind"),
    [
        ("jpeg", picture(3, 1, has_alpha=True)),
        ("jpeg", picture(3, depth=16)),
        ("png", picture(3, 2)),
        ("webp", picture(1, depth=16)),
    ],
    ids=["alpha", "16 bits", "bands", "webp16"],
)
def test_what_a_format_cannot_hold_is_not_written(format: str, kind: Picture) -> None:
    with pytest.raises(ImageError, match=f"cannot be written as {format}"):
        encode(kind, format)


def test_more_than_eight_bits_survive() -> None:
    pixels: Pixels = smooth(0, depth=16)
    for format in ("png", "tiff"):
        assert len(np.unique(decode(encode(Picture.plain(pixels), format)).pixels)) > 2000
