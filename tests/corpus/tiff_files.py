"""TIFF."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from arm_batch.core.arrays import Pixels
from tests.corpus.case import BROKEN, CMYK_BY_PROFILE, PLAIN_CMYK, WRONG, Failed, Sound, Upscaled
from tests.corpus.scenes import (
    ALPHA16,
    CMYK,
    CMYK16,
    FLOATS,
    GREY,
    GREY16,
    HALVES,
    INKS,
    LA,
    LA16,
    MORE,
    MORE16,
    PALETTED,
    RGB,
    RGB16,
    RGBA,
    RGBA16,
    by_inks,
    palette,
    paper,
    patch,
    upright,
    vips,
)
from tests.image_files import GREY_GAMMA, WIDE, exif, saved, tiff

LAB = "Lab, converted to sRGB"
LEVELS = "{} samples from 0 to 1 became 16 bits"


def lab(bands: Pixels, interpretation: str, space: str) -> Any:
    """Lab of the white D50, as files hold it."""
    image = vips(bands, interpretation)
    return image.icc_import(input_profile="srgb", intent="relative").colourspace(space)


SOUND: Sound = {
    "grey": (tiff(GREY[..., 0]), GREY),
    "grey16": (tiff(GREY16[..., 0]), GREY16),
    "la": (saved(Image.fromarray(LA), "TIFF"), LA),
    "la16": (tiff(LA16, photometric="minisblack", extrasamples=["unassalpha"], planarconfig="contig"), LA16),
    "rgb": (saved(RGB, "TIFF"), RGB),
    "rgb16": (tiff(RGB16, photometric="rgb"), RGB16),
    "rgba": (tiff(RGBA, photometric="rgb", extrasamples=["unassalpha"]), RGBA),
    "rgba16": (tiff(RGBA16, photometric="rgb", extrasamples=["unassalpha"]), RGBA16),
    "premultiplied": (
        tiff(
            np.dstack([np.rint(RGB16 * (ALPHA16 / 65535)).astype(np.uint16), ALPHA16]),
            photometric="rgb",
            extrasamples=["assocalpha"],
        ),
        RGBA16,
    ),
    "palette": (saved(palette(), "TIFF"), PALETTED),
    "1-bit": (saved(Image.fromarray(HALVES[..., 0] > 0), "TIFF"), HALVES),
    "fax4": (saved(Image.fromarray(HALVES[..., 0] > 0), "TIFF", compression="group4"), HALVES),
    "fax3": (saved(Image.fromarray(HALVES[..., 0] > 0), "TIFF", compression="group3"), HALVES),
    "white-is-0": (tiff(GREY[..., 0], photometric="miniswhite"), 255 - GREY),
    "lzw": (vips(RGB, "srgb").tiffsave_buffer(compression="lzw"), RGB),
    "lzw-predictor": (vips(RGB16, "rgb16").tiffsave_buffer(compression="lzw", predictor="horizontal"), RGB16),
    "deflate": (tiff(RGB, photometric="rgb", compression="zlib"), RGB),
    "packbits": (vips(RGB, "srgb").tiffsave_buffer(compression="packbits"), RGB),
    "jpeg-inside": (vips(RGB, "srgb").tiffsave_buffer(compression="jpeg", Q=98), RGB),
    "tiles": (tiff(RGB, photometric="rgb", tile=(16, 16)), RGB),
    "tiles-jpeg": (
        vips(RGB, "srgb").tiffsave_buffer(tile=True, tile_width=32, tile_height=32, compression="jpeg", Q=98),
        RGB,
    ),
    "strips": (tiff(RGB, photometric="rgb", rowsperstrip=4), RGB),
    "planes-apart": (tiff(RGB.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"), RGB),
    "planes-apart-tiles": (
        tiff(RGB16.transpose(2, 0, 1), photometric="rgb", planarconfig="separate", tile=(16, 16)),
        RGB16,
    ),
    "planes-apart-tiles-deflate": (
        tiff(
            RGBA.transpose(2, 0, 1),
            photometric="rgb",
            planarconfig="separate",
            tile=(16, 16),
            extrasamples=["unassalpha"],
            compression="zlib",
            bigtiff=True,
            byteorder=">",
        ),
        RGBA,
    ),
    "planes-apart-tiles-float": (
        tiff(
            np.stack([FLOATS.astype("f4")] * 2), planarconfig="separate", tile=(16, 16), photometric="minisblack"
        ),
        Upscaled(np.dstack([GREY16, GREY16]), "tiff", (LEVELS.format("float32"),)),
    ),
    "big-endian": (tiff(RGB16, photometric="rgb", byteorder=">"), RGB16),
    "big": (tiff(RGB, photometric="rgb", bigtiff=True), RGB),
    "big-big-endian": (tiff(RGB16, photometric="rgb", bigtiff=True, byteorder=">"), RGB16),
    "pyramid": (
        vips(RGB, "srgb").tiffsave_buffer(tile=True, tile_width=16, tile_height=16, pyramid=True, subifd=True),
        RGB,
    ),
    "rgb-and-two": (
        tiff(np.dstack([RGB, MORE[..., :2]]), photometric="rgb", extrasamples=[0, 0]),
        np.dstack([RGB, MORE[..., :2]]),
    ),
    "rgba-and-three": (
        tiff(np.dstack([RGBA, MORE]), photometric="rgb", extrasamples=[2, 0, 0, 0]),
        np.dstack([RGBA, MORE]),
    ),
    "deep-bands": (
        tiff(np.dstack([RGBA16, MORE16]), photometric="minisblack", planarconfig="contig"),
        np.dstack([RGBA16, MORE16]),
    ),
    "wide": (tiff(RGB, photometric="rgb", iccprofile=WIDE), Upscaled(RGB, "tiff", icc=WIDE)),
    "wide16": (tiff(RGB16, photometric="rgb", iccprofile=WIDE), Upscaled(RGB16, "tiff", icc=WIDE)),
    "grey-profile": (saved(GREY, "TIFF", icc_profile=GREY_GAMMA), Upscaled(GREY, "tiff", icc=GREY_GAMMA)),
    "wrong-profile": (saved(RGB, "TIFF", icc_profile=GREY_GAMMA), Upscaled(RGB, "tiff", (WRONG.format("GRAY"),))),
    "broken-profile": (saved(RGB, "TIFF", icc_profile=b"nonsense"), Upscaled(RGB, "tiff", (BROKEN,))),
    "dpi": (saved(RGB, "TIFF", dpi=(300, 300), exif=exif(maker="M")), RGB),
    "lzma": (saved(RGB, "TIFF", compression="lzma"), RGB),
    "zstandard": (saved(RGB, "TIFF", compression="zstd"), RGB),
    "lerc": (saved(RGB, "TIFF", compression="lerc"), RGB),
    "float16": (tiff(FLOATS.astype(np.float16)), Upscaled(GREY16, "tiff", (LEVELS.format("float32"),))),
    "float32": (tiff(FLOATS.astype(np.float32)), Upscaled(GREY16, "tiff", (LEVELS.format("float32"),))),
    "float64": (tiff(FLOATS), Upscaled(GREY16, "tiff", (LEVELS.format("float64"),))),
    "float64-rgba": (
        tiff(RGBA16 / 65535, photometric="rgb", extrasamples=["unassalpha"], compression="zlib"),
        Upscaled(RGBA16, "tiff", (LEVELS.format("float64"),)),
    ),
    "float-predictor": (
        vips(FLOATS.astype(np.float32), "b-w").tiffsave_buffer(compression="deflate", predictor="float"),
        Upscaled(GREY16, "tiff", (LEVELS.format("float32"),)),
    ),
    "not-numbers": (
        tiff(np.where(HALVES[..., 0] > 0, np.nan, np.inf).astype(np.float32)),
        Upscaled(257 * (255 - HALVES.astype(np.uint16)), "tiff", (LEVELS.format("float32"),)),
    ),
    "signed": (
        tiff((HALVES[..., 0] > 0).astype(np.int16)),
        Upscaled(257 * HALVES.astype(np.uint16), "tiff", (LEVELS.format("int16"),)),
    ),
    "32-bits": (
        tiff((HALVES[..., 0] > 0).astype(np.uint32)),
        Upscaled(257 * HALVES.astype(np.uint16), "tiff", (LEVELS.format("uint32"),)),
    ),
    "64-bits": (
        tiff((HALVES[..., 0] > 0).astype(np.int64)),
        Upscaled(257 * HALVES.astype(np.uint16), "tiff", (LEVELS.format("int64"),)),
    ),
    "complex": (tiff(FLOATS.astype(np.complex64)), Failed("cannot be decoded: broken, or samples of 64 bits .*")),
    "cmyk": (saved(Image.fromarray(CMYK, "CMYK"), "TIFF"), Upscaled(paper(CMYK), "tiff", (PLAIN_CMYK,))),
    "cmyk16": (tiff(CMYK16, photometric="separated"), Upscaled(paper(CMYK16), "tiff", (PLAIN_CMYK,))),
    "cmyk-profile": (
        saved(Image.fromarray(CMYK, "CMYK"), "TIFF", icc_profile=INKS),
        Upscaled(by_inks(CMYK), "tiff", (CMYK_BY_PROFILE,)),
    ),
    "lab": (lab(RGB, "srgb", "lab").tiffsave_buffer(keep="none"), Upscaled(RGB, "tiff", (LAB,))),
    "lab16": (lab(RGB16, "rgb16", "labs").tiffsave_buffer(keep="none"), Upscaled(RGB16, "tiff", (LAB,))),
    "pages": (
        saved(RGB, "TIFF", save_all=True, append_images=[Image.fromarray(MORE)] * 2),
        Upscaled(RGB, "tiff", ("frame 0 of 3",)),
    ),
    **{f"orientation-{n}": (saved(RGB, "TIFF", exif=exif(orientation=n)), upright(n)) for n in range(1, 9)},
    "orientation-big-endian": (
        tiff(RGB16, photometric="rgb", bigtiff=True, byteorder=">", extratags=[(274, 3, 1, 6, False)]),
        np.rot90(RGB16, -1),
    ),
    "1x1": (saved(patch(1, 1), "TIFF"), patch(1, 1)),
    "1x300": (saved(patch(1, 300), "TIFF", compression="tiff_lzw"), patch(1, 300)),
}
