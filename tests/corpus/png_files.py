"""PNG."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image

from arm_batch.core.arrays import Pixels
from tests.corpus.case import BROKEN, WRONG, Sound, Upscaled
from tests.corpus.scenes import (
    COLOURS,
    GREY,
    GREY16,
    HALVES,
    LA,
    LA16,
    MORE,
    PALETTED,
    RGB,
    RGB16,
    RGBA,
    RGBA16,
    STEPS,
    keyed,
    palette,
    patch,
    upright,
    vips,
)
from tests.image_files import GREY_GAMMA, SRGB, WIDE, chunk, deep_png, exif, png, saved, with_chunk


def rows(levels: Pixels, bits: int) -> bytes:
    """Of PNG with less than 8 bits a sample, unfiltered."""
    planes = np.unpackbits(levels[..., :1], axis=2)[..., 8 - bits :]
    return b"".join(b"\0" + np.packbits(line.ravel()).tobytes() for line in planes)


def deep_rows(levels: Pixels) -> bytes:
    return b"".join(b"\0" + line.astype(">u2").tobytes() for line in levels)


def in_pieces(data: bytes) -> bytes:
    """With its pixels in many chunks."""
    start = data.find(b"IDAT") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big")
    pieces = (data[place : min(place + 100, start + size)] for place in range(start, start + size, 100))
    return data[: start - 8] + b"".join(chunk(b"IDAT", piece) for piece in pieces) + data[start + size + 4 :]


def with_profile(data: bytes, icc: bytes) -> bytes:
    return with_chunk(data, b"iCCP", b"profile\0\0" + zlib.compress(icc))


def stripes(grey: tuple[int, int, int], dtype: type = np.uint8) -> Pixels:
    """Grey in three stripes."""
    return np.array(grey, dtype)[STEPS]


SIZES = ((1, 1), (40, 1), (1, 40), (32, 31), (32, 32), (33, 32), (31, 33), (2, 65), (65, 2), (64, 64))
"""Width and height, around those of a tile."""

DEEP_STRIPES = stripes((10_000, 30_000, 50_000), np.uint16)
DEEP_PALETTED = PALETTED.astype(np.uint16) * 257

SOUND: Sound = {
    "grey": (saved(GREY, "PNG"), GREY),
    "grey16": (deep_png(GREY16), GREY16),
    "la": (saved(Image.fromarray(LA), "PNG"), LA),
    "la16": (png(47, 33, 16, 4, deep_rows(LA16)), LA16),
    "rgb": (saved(RGB, "PNG"), RGB),
    "rgb16": (deep_png(RGB16), RGB16),
    "rgba": (saved(RGBA, "PNG"), RGBA),
    "rgba16": (deep_png(RGBA16), RGBA16),
    "palette": (saved(palette(), "PNG"), PALETTED),
    "palette-2-bits": (saved(palette(), "PNG", bits=2), PALETTED),
    "palette-4-bits": (saved(palette(), "PNG", bits=4), PALETTED),
    "palette-key": (saved(palette(), "PNG", transparency=1), keyed(PALETTED, tuple(COLOURS[1]))),
    "palette-alpha": (
        saved(palette(), "PNG", transparency=b"\xff\x40\x90"),
        np.dstack([PALETTED, np.array([255, 64, 144], np.uint8)[STEPS]]),
    ),
    "key-grey": (saved(stripes((50, 90, 180)), "PNG", transparency=90), keyed(stripes((50, 90, 180)), (90,))),
    "key-rgb": (
        saved(PALETTED, "PNG", transparency=tuple(COLOURS[1].tolist())),
        keyed(PALETTED, tuple(COLOURS[1])),
    ),
    "key-grey16": (
        png(47, 33, 16, 0, deep_rows(DEEP_STRIPES), chunk(b"tRNS", struct.pack(">H", 30_000))),
        keyed(DEEP_STRIPES, (30_000,)),
    ),
    "key-rgb16": (
        with_chunk(deep_png(DEEP_PALETTED), b"tRNS", struct.pack(">3H", *(COLOURS[1].astype(int) * 257))),
        keyed(DEEP_PALETTED, tuple(COLOURS[1].astype(int) * 257)),
    ),
    "1-bit": (saved(Image.fromarray(HALVES[..., 0] > 0), "PNG"), HALVES),
    "2-bits": (png(47, 33, 2, 0, rows(STEPS, 2)), STEPS * 85),
    "4-bits": (png(47, 33, 4, 0, rows(STEPS + 5, 4)), (STEPS + 5) * 17),
    "interlaced": (vips(RGB, "srgb").pngsave_buffer(interlace=True), RGB),
    "interlaced-rgba16": (vips(RGBA16, "rgb16").pngsave_buffer(interlace=True), RGBA16),
    "srgb": (saved(RGB, "PNG", icc_profile=SRGB), Upscaled(RGB, icc=SRGB)),
    "wide": (saved(RGB, "PNG", icc_profile=WIDE), Upscaled(RGB, icc=WIDE)),
    "wide16": (with_profile(deep_png(RGB16), WIDE), Upscaled(RGB16, icc=WIDE)),
    "wide-alpha": (saved(RGBA, "PNG", icc_profile=WIDE), Upscaled(RGBA, icc=WIDE)),
    "grey-profile": (saved(GREY, "PNG", icc_profile=GREY_GAMMA), Upscaled(GREY, icc=GREY_GAMMA)),
    "wrong-profile": (saved(GREY, "PNG", icc_profile=WIDE), Upscaled(GREY, notes=(WRONG.format("RGB"),))),
    "broken-profile": (with_profile(saved(RGB, "PNG"), WIDE[:200]), Upscaled(RGB, notes=(BROKEN,))),
    "dpi-and-exif": (saved(RGB, "PNG", dpi=(300, 300), exif=exif(maker="M")), RGB),
    "gamma": (with_chunk(saved(RGB, "PNG"), b"gAMA", struct.pack(">I", 45455)), RGB),
    "opaque": (saved(np.dstack([RGB, np.full_like(GREY, 255)]), "PNG"), RGB),
    "unknown-chunk": (with_chunk(saved(RGB, "PNG"), b"zzZz", b"whatever"), RGB),
    "trailing": (saved(RGB, "PNG") + b"more than there should be", RGB),
    "animated": (
        saved(RGB, "PNG", save_all=True, append_images=[Image.fromarray(MORE)] * 2),
        Upscaled(RGB, notes=("frame 0 of 3",)),
    ),
    "pieces": (in_pieces(saved(RGB, "PNG")), RGB),
    **{f"orientation-{n}": (saved(RGB, "PNG", exif=exif(orientation=n)), upright(n)) for n in range(1, 9)},
    **{f"{w}x{h}": (saved(patch(w, h), "PNG"), patch(w, h)) for w, h in SIZES},
}
"""What the file is, and what it shows."""
