"""Pictures whose tones nets would shift, and those that only look a little like them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from arm_batch.core.arrays import Pixels
from arm_batch.core.tiling.dither import DitherLook
from tests.image_files import by_opencv, noise, saved, smooth

PHOTO = smooth(3, 200, 300)
GREY = smooth(4, 200, 300, channels=1)


def quantised(colours: list[tuple[int, int, int]], dither: bool) -> Pixels:
    palette = Image.new("P", (1, 1))
    palette.putpalette([level for colour in colours for level in colour])
    kind = Image.Dither.FLOYDSTEINBERG if dither else Image.Dither.NONE
    return np.asarray(Image.fromarray(PHOTO).quantize(palette=palette, dither=kind).convert("RGB"))


def ordered(grey: Pixels) -> Pixels:
    bayer = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) * 16 + 8
    return (255 * (grey > np.tile(bayer, (50, 75))[..., None])).astype(np.uint8)


def bilevel() -> Pixels:
    return np.asarray(Image.fromarray(GREY[..., 0]).convert("1").convert("L"))[..., None]


def text(interpolation: int) -> Pixels:
    """Letters, with or without steps between black and white."""
    page = np.full((800, 1200), 255, np.uint8)
    for line in range(40, 800, 60):
        cv2.putText(page, "Interpolation of scanned letters", (20, line), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 0, 3)
    small = cv2.resize(page, (300, 200), interpolation=interpolation)
    return small[..., None]


COARSE = [(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)]
WEB = [(r, g, b) for r in range(0, 256, 51) for g in range(0, 256, 51) for b in range(0, 256, 51)]
GREYS = [(level, level, level) for level in range(0, 256, 85)]

TWO = np.array([[200, 40, 90], [0, 30, 60]], np.uint8)

DITHERED: dict[str, np.ndarray] = {
    "1 bit": bilevel(),
    "1 bit, ordered": ordered(GREY),
    "1 bit, in colour": np.repeat(bilevel(), 3, axis=2),
    "1 bit, two colours": np.where(bilevel() > 0, TWO[0], TWO[1]),
    "1 bit of 16": bilevel().astype(np.uint16) * 257,
    "1 bit through JPEG": by_opencv(saved(bilevel(), "JPEG", quality=90), 0)[..., None],
    "text of 1 bit": np.where(text(cv2.INTER_AREA) > 128, np.uint8(255), np.uint8(0)),
    "eight colours": quantised(COARSE, True),
    "four greys": quantised(GREYS, True),
    "colours of old browsers": quantised(WEB, True),
}

NOT_DITHERED: dict[str, np.ndarray] = {
    "photograph": PHOTO,
    "grey": GREY,
    "of 16 bits": smooth(3, 200, 300, depth=16),
    "weak noise": np.clip(GREY + np.random.default_rng(0).normal(0, 8, GREY.shape), 0, 255).astype(np.uint8),
    "text of many greys": text(cv2.INTER_AREA),
    "one tone": np.full((50, 50, 3), 255, np.uint8),
    "one pixel": np.zeros((1, 1, 1), np.uint8),
    "posterised": quantised(WEB, False),
    "fine palette": np.asarray(Image.fromarray(PHOTO).quantize(256).convert("RGB")),
    "one row": noise(1, 1, 500),
}


@pytest.mark.parametrize("name", DITHERED)
def test_pictures_in_two_tones_or_of_dots_are_recognised(name: str) -> None:
    assert DitherLook.at(DITHERED[name]).is_dithered()


@pytest.mark.parametrize("name", NOT_DITHERED)
def test_others_are_not(name: str) -> None:
    assert not DitherLook.at(NOT_DITHERED[name]).is_dithered()


@pytest.mark.parametrize("name", [*DITHERED, *NOT_DITHERED])
def test_read_from_top_to_bottom_they_are_the_same(name: str) -> None:
    pixels = {**DITHERED, **NOT_DITHERED}[name]
    height = pixels.shape[0]
    look = DitherLook(height, pixels.shape[1])
    for top in range(0, height, 24):
        # As scores want them: with rows of their surroundings.
        start = max(0, top - 8)
        look.add(start, pixels[start : min(height, top + 32)])
    assert look.is_dithered() == (name in DITHERED)
