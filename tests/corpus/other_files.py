"""BMP, GIF, WebP, AVIF and JPEG 2000."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from tests.corpus.bmp import bmp
from tests.corpus.case import Sound, Upscaled
from tests.corpus.scenes import (
    COLOURS,
    GREY,
    GREY16,
    HALVES,
    LA,
    MORE,
    PALETTED,
    RGB,
    RGB16,
    RGBA,
    STEPS,
    keyed,
    palette,
    patch,
    upright,
    vips,
)
from tests.image_files import WIDE, exif, opencv, saved

LATER = [Image.fromarray(MORE), Image.fromarray(RGB)]

FIVE_SIX_FIVE = (RGB >> [3, 2, 3] << [11, 5, 0]).sum(axis=2).astype("<u2")
EVEN = np.pad(STEPS[..., 0], ((0, 0), (0, 1)))

SOUND: Sound = {
    "rgb.bmp": (saved(RGB, "BMP"), RGB),
    "grey.bmp": (saved(GREY, "BMP"), GREY),
    "palette.bmp": (saved(palette(), "BMP"), PALETTED),
    "1-bit.bmp": (saved(Image.fromarray(HALVES[..., 0] > 0), "BMP"), HALVES),
    "rgba.bmp": (bmp(RGBA[..., [2, 1, 0, 3]].reshape(33, -1), 32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)), RGBA),
    "32-bits.bmp": (saved(RGBA, "BMP"), RGB),
    "5-6-5.bmp": (bmp(FIVE_SIX_FIVE.view(np.uint8).reshape(33, -1), 16, (0xF800, 0x7E0, 0x1F, 0)), RGB),
    "4-bits.bmp": (bmp(EVEN[:, ::2] << 4 | EVEN[:, 1::2], 4, palette=COLOURS), COLOURS[EVEN]),
    "palette.gif": (saved(palette(), "GIF"), PALETTED),
    "key.gif": (saved(palette(), "GIF", transparency=1), keyed(PALETTED, tuple(COLOURS[1]))),
    "animated.gif": (
        saved(palette(), "GIF", save_all=True, append_images=LATER),
        Upscaled(PALETTED, "png", ("frame 0 of 3",)),
    ),
    "lossless.webp": (saved(RGB, "WEBP", lossless=True), RGB),
    "lossless-alpha.webp": (saved(RGBA, "WEBP", lossless=True), RGBA),
    "lossy.webp": (saved(RGB, "WEBP", quality=95), Upscaled(RGB, "webp", within=3)),
    "lossy-alpha.webp": (saved(RGBA, "WEBP", quality=95), Upscaled(RGBA, "webp")),
    "animated.webp": (
        saved(RGB, "WEBP", save_all=True, append_images=LATER, quality=95),
        Upscaled(RGB, "webp", ("frame 0 of 3",), within=3),
    ),
    "rgb.avif": (saved(RGB, "AVIF", quality=95), Upscaled(RGB, "avif")),
    "rgba.avif": (saved(RGBA, "AVIF", quality=95), Upscaled(RGBA, "avif")),
    "grey.avif": (saved(GREY, "AVIF", quality=95), Upscaled(GREY, "avif")),
    "ten-bits.avif": (
        vips(RGB, "srgb").heifsave_buffer(compression="av1", bitdepth=10, effort=0, Q=95),
        Upscaled(RGB, "avif", ("cut from 10 to 8 bits",)),
    ),
    "animated.avif": (
        saved(RGB, "AVIF", save_all=True, append_images=LATER, quality=95),
        Upscaled(RGB, "avif", ("frame 0 of 3",)),
    ),
    "rgb.jp2": (saved(RGB, "JPEG2000"), RGB),
    "rgba.jp2": (saved(RGBA, "JPEG2000"), RGBA),
    "la.jp2": (saved(Image.fromarray(LA), "JPEG2000"), LA),
    "grey16.jp2": (saved(Image.fromarray(GREY16[..., 0]), "JPEG2000"), GREY16),
    "rgb16.jp2": (opencv(".jp2", RGB16, cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000), RGB16),
    "lossy.jp2": (saved(RGB, "JPEG2000", irreversible=True), Upscaled(RGB, "jpeg")),
    "codestream.j2k": (saved(RGB, "JPEG2000", no_jp2=True), RGB),
    "tiled.jp2": (saved(RGB, "JPEG2000", tile_size=(16, 16)), RGB),
    "wide.webp": (saved(RGB, "WEBP", lossless=True, icc_profile=WIDE), Upscaled(RGB, icc=WIDE)),
    "wide.avif": (saved(RGB, "AVIF", quality=95, icc_profile=WIDE), Upscaled(RGB, "avif", icc=WIDE)),
    "turned.webp": (saved(RGB, "WEBP", lossless=True, exif=exif(orientation=6)), upright(6)),
    "turned.avif": (saved(RGB, "AVIF", quality=95, exif=exif(orientation=6)), Upscaled(upright(6), "avif")),
    **{
        f"1x1.{extension}": (saved(patch(1, 1), format, **options), patch(1, 1))
        for extension, format, options in (
            ("bmp", "BMP", {}),
            ("webp", "WEBP", {"lossless": True}),
            ("jp2", "JPEG2000", {}),
        )
    },
}
