"""What the images of the corpus show: smooth, so that every way of upscaling gives back the input's mean."""

from __future__ import annotations

import numpy as np
import pyvips
from PIL import Image, ImageOps

from arm_batch.core.arrays import Pixels
from tests.image_files import smooth, to_srgb_by_pillow

RGB, RGB16 = smooth(0, 33, 47), smooth(0, 33, 47, depth=16)
ALPHA, ALPHA16 = smooth(1, 33, 47, 1), smooth(1, 33, 47, 1, depth=16)
GREY, GREY16 = RGB[..., :1], RGB16[..., :1]
LA, LA16 = np.dstack([GREY, ALPHA]), np.dstack([GREY16, ALPHA16])
RGBA, RGBA16 = np.dstack([RGB, ALPHA]), np.dstack([RGB16, ALPHA16])
CMYK, CMYK16 = smooth(3, 33, 47, 4), smooth(3, 33, 47, 4, depth=16)
MORE, MORE16 = smooth(4, 33, 47, 3), smooth(4, 33, 47, 3, depth=16)
FLOATS = GREY16[..., 0] / 65535
"""What `GREY16` shows, black as 0 and white as 1."""

HALVES = np.zeros((33, 47, 1), np.uint8)
HALVES[:, 20:] = 255

STEPS = (np.arange(47)[None, :, None] // 16 * np.ones((33, 1, 1))).astype(np.uint8)
"""0, 1 and 2 from left to right."""

COLOURS = np.array([[200, 60, 40], [60, 160, 80], [70, 80, 190]], np.uint8)
PALETTED = COLOURS[STEPS[..., 0]]
"""What `palette` shows."""


def patch(width: int, height: int) -> Pixels:
    """A piece of a smooth image, however small."""
    return np.ascontiguousarray(smooth(6, 300, 80)[:height, :width])


def palette() -> Image.Image:
    """Three stripes of `COLOURS`."""
    image = Image.fromarray(STEPS[..., 0], "P")
    image.putpalette(COLOURS.tobytes())
    return image


def vips(pixels: Pixels, interpretation: str) -> pyvips.Image:
    """For the savers of libvips."""
    return pyvips.Image.new_from_array(pixels).copy(interpretation=interpretation)


def paper(inks: Pixels) -> Pixels:
    """What CMYK shows through ideal inks."""
    peak = np.iinfo(inks.dtype).max
    light = peak - inks[..., :4].astype(np.float64)
    return np.rint(light[..., :3] * light[..., 3:] / peak).astype(inks.dtype)


def keyed(colours: Pixels, key: tuple[int, ...]) -> Pixels:
    """With alpha that hides the pixels of this colour."""
    peak = np.iinfo(colours.dtype).max
    hidden = (colours == np.array(key)).all(axis=2, keepdims=True)
    return np.concatenate([colours, np.where(hidden, 0, peak).astype(colours.dtype)], axis=2)


def upright(orientation: int) -> Pixels:
    """`RGB` stored with this EXIF orientation, as it is to be seen."""
    image = Image.fromarray(RGB)
    image.getexif()[0x112] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


INKS: bytes = pyvips.Image.profile_load("cmyk")
"""A profile for CMYK."""


def by_inks(inks: Pixels) -> Pixels:
    """What CMYK shows by `INKS`, according to Pillow."""
    return to_srgb_by_pillow(Image.fromarray(inks, "CMYK"), INKS)
