"""Colours are kept: averaged back to the input's size, the output of every lossless mode is the input.

Interpolated and by the costliest net, in 8 bits and in 16, with the profile kept and applied. The content is as
smooth as clear sky, so that upscaling adds little, and that is measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from arm_batch import pipeline
from arm_batch.core.arrays import Pixels
from arm_batch.core.image_options import Reading
from arm_batch.images import decode
from arm_batch.models.ladder_files import load_ladder
from arm_batch.models.rungs.subnet import SubnetRung
from tests.archives import LADDER, job, replanned, silent
from tests.corpus.test_corpus import rows_of
from tests.image_files import GREY_GAMMA, SRGB, WIDE, deep_png, saved, tiff

HEIGHT, WIDTH = 96, 128

LIMITS = {8: 0.1, 16: 5.0}
"""Mean difference beside what the net adds by itself, in levels of so many bits. 8 bits on the way of 16 would
add 64 levels."""

CONVERSION = {8: 0.3, 16: 100.0}
"""What converting adds: littleCMS interpolates in a table where it has 16 bits."""


def sky(channels: int, depth: int) -> Pixels:
    """Waves longer than the image is wide, a little different in each channel; colours that sRGB has too."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [0.5 + 0.2 * np.cos(3 * x / WIDTH + 2 * y / HEIGHT + 0.3 * n) + 0.05 * n for n in range(channels)]
    return np.asarray(np.rint(np.dstack(waves) * (2**depth - 1)), np.uint8 if depth == 8 else np.uint16)


def srgb_of_wide(colours: Pixels) -> Pixels:
    """By the definitions of both spaces."""
    to_xyz = np.array([[0.7977, 0.1352, 0.0313], [0.2880, 0.7119, 0.0001], [0.0, 0.0, 0.8249]])
    from_xyz = np.linalg.inv(
        [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
    )
    peak = np.iinfo(colours.dtype).max
    # The white of the profile is the sum of its primaries, not quite that of D50.
    linear = np.clip((colours / peak) ** (461 / 256) @ to_xyz.T @ from_xyz.T, 0, 1)
    return encoded(linear, colours.dtype)


def encoded(linear: np.ndarray, dtype: np.dtype[Any]) -> Pixels:
    """By the curve of sRGB."""
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(curve * np.iinfo(dtype).max), dtype)


RGB, RGB16, RGBA, RGBA16 = sky(3, 8), sky(3, 16), sky(4, 8), sky(4, 16)
GREY, GREY16, LA, LA16 = sky(1, 8), sky(1, 16), sky(2, 8), sky(2, 16)

KEPT = {
    "grey.png": (saved(GREY, "PNG"), GREY),
    "la.png": (saved(Image.fromarray(LA), "PNG"), LA),
    "rgb.png": (saved(RGB, "PNG"), RGB),
    "rgba.png": (saved(RGBA, "PNG"), RGBA),
    "grey16.png": (deep_png(GREY16), GREY16),
    "rgb16.png": (deep_png(RGB16), RGB16),
    "rgba16.png": (deep_png(RGBA16), RGBA16),
    "rgb.bmp": (saved(RGB, "BMP"), RGB),
    "rgba.webp": (saved(RGBA, "WEBP", lossless=True, exact=True), RGBA),
    "rgb.jp2": (saved(RGB, "JPEG2000"), RGB),
    "rgb.tif": (tiff(RGB, photometric="rgb"), RGB),
    "rgb16.tif": (tiff(RGB16, photometric="rgb"), RGB16),
    "la16.tif": (
        tiff(LA16, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"]),
        LA16,
    ),
    "float.tif": (tiff((GREY16[..., 0] / 65535).astype(np.float32)), GREY16),
    "bands.tif": (
        tiff(np.dstack([RGB16, GREY16]), photometric="rgb", extrasamples=["unspecified"]),
        np.dstack([RGB16, GREY16]),
    ),
    "srgb.png": (saved(RGB, "PNG", icc_profile=SRGB), RGB),
    "wide.png": (saved(RGB, "PNG", icc_profile=WIDE), RGB),
    "wide16.tif": (tiff(RGB16, photometric="rgb", iccprofile=WIDE), RGB16),
}
"""Files, and what their outputs show when profiles are kept."""

CONVERTED = {
    "rgb.png": KEPT["rgb.png"],
    "wide.png": (KEPT["wide.png"][0], srgb_of_wide(RGB)),
    "wide16.tif": (KEPT["wide16.tif"][0], srgb_of_wide(RGB16)),
    "grey.tif": (
        saved(GREY, "TIFF", icc_profile=GREY_GAMMA),
        encoded(GREY / 255, GREY.dtype),
    ),
}
"""With `--to-srgb`."""


def added_by_the_net(shown: Pixels) -> float:
    """How far the costliest net moves the mean of an input pixel by itself, levels; of all bands the worst."""
    net = load_ladder(LADDER).nets[-1]
    assert isinstance(net, SubnetRung)
    subnet = net.module()
    bands = torch.from_numpy(np.moveaxis(shown, 2, 0).astype(np.float32))
    pictures = [band.expand(3, -1, -1) for band in bands] + [bands[:3]] * (len(bands) >= 3)
    before = torch.stack(pictures)
    with torch.no_grad():
        after = subnet(before / np.iinfo(shown.dtype).max) * np.iinfo(shown.dtype).max
    return float((F.avg_pool2d(after, 4) - before).abs().mean(dim=(1, 2, 3)).max())


@pytest.mark.parametrize("budget", ["1%", "100%"])
@pytest.mark.parametrize("to_srgb", [False, True], ids=["kept", "converted"])
def test_colours_are_kept(tmp_path: Path, budget: str, to_srgb: bool) -> None:
    files = CONVERTED if to_srgb else KEPT
    (tmp_path / "in").mkdir()
    for name, (data, _) in files.items():
        (tmp_path / "in" / name).write_bytes(data)
    spec = replanned(
        job(tmp_path / "in", tmp_path / "out", budget=budget),
        reading=Reading(to_srgb=to_srgb, float_range=(0, 1)),
    )
    pipeline.upscale(spec, silent)
    rows = rows_of(tmp_path / "out")
    differences = {}
    for name, (_, shown) in files.items():
        row = rows[name]
        assert row["subnet_tiles"].index(max(row["subnet_tiles"])) == (0 if budget == "1%" else 3)
        picture = decode(row["image"]["bytes"])
        after = np.concatenate([picture.pixels, picture.planes], axis=2)
        assert after.dtype == shown.dtype
        averaged = cv2.resize(after.astype(np.float64), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        differences[name] = float(np.abs(averaged.reshape(shown.shape) - shown).mean())
    # 1 % buys interpolation alone.
    for name, (_, shown) in files.items():
        bits = 8 * shown.itemsize
        added = added_by_the_net(shown) if budget == "100%" else 0
        assert differences[name] < LIMITS[bits] + added + to_srgb * CONVERSION[bits], name
