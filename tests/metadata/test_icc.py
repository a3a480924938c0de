"""What profiles that are made show, by littleCMS as Pillow and as libvips call it, against definitions."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from arm_batch.images.colour import matching_profile, to_srgb
from arm_batch.metadata.icc import make_profile
from arm_batch.metadata.spaces import ADOBE_RGB, BT709, ROMM_RGB, SRGB, Curve, Primaries, Space, space_of_codes
from tests.image_files import noise, to_srgb_by_pillow

FROM_XYZ = np.linalg.inv([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
"""To linear sRGB, of XYZ under D50."""

Matrix = NDArray[np.float64]

# As published for each space, adapted to D50 by Bradford.
ADOBE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
ROMM = np.array([[0.79767, 0.13519, 0.03135], [0.28804, 0.71188, 0.00009], [0.0, 0.0, 0.82490]])
BT2020 = np.array([[0.67348, 0.16566, 0.12507], [0.27904, 0.67535, 0.04561], [-0.00193, 0.02998, 0.79685]])


def encoded(light: Matrix) -> Matrix:
    clipped = light.clip(0, 1)
    return 255 * np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)


def srgb_light(x: Matrix) -> Matrix:
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def video_light(x: Matrix) -> Matrix:
    return np.where(x < 0.081, x / 4.5, ((x + 0.099) / 1.099) ** (1 / 0.45))


def pq_light(x: Matrix) -> Matrix:
    """Paper white, of 203 nits, being 1; what is brighter is clipped."""
    root = x ** (1 / 78.84375)
    nits = 10000 * ((root - 0.8359375).clip(0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    return (nits / 203).clip(0, 1)


KNOWN = {
    "adobe": (ADOBE_RGB, ADOBE, lambda x: x ** (563 / 256)),
    "romm": (ROMM_RGB, ROMM, lambda x: np.where(x < 1 / 32, x / 16, x**1.8)),
    "p3": (space_of_codes(12, 13), P3, srgb_light),
    "p3 without a curve": (space_of_codes(12, 2), P3, srgb_light),
    "bt2020": (space_of_codes(9, 14), BT2020, video_light),
    "pq": (space_of_codes(9, 16), BT2020, pq_light),
    "gamma": (Space(primaries=BT709, curves=(Curve(gamma=1.8),) * 3), np.linalg.inv(FROM_XYZ), lambda x: x**1.8),
    "linear": (space_of_codes(1, 8), np.linalg.inv(FROM_XYZ), lambda x: x),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_profile_shows_what_the_definition_says(name: str) -> None:
    space, to_xyz, light = KNOWN[name]
    assert space is not None
    icc = make_profile(space, grey=False)
    assert icc is not None
    # Far from the edges of sRGB, where clipping is done in one way or another.
    pixels = noise(0, 40, 50)
    expected = encoded(light(pixels / 255) @ to_xyz.T @ FROM_XYZ.T)
    notes: list[str] = []
    ours, left = to_srgb(pixels, "rgb", icc, notes)
    assert (left, notes) == (None, [])
    theirs = to_srgb_by_pillow(Image.fromarray(pixels), icc)
    inside = ((expected > 1) & (expected < 254)).all(axis=2)
    assert inside.sum() > 50
    assert np.abs(ours - expected)[inside].max() < 1.6
    assert np.abs(theirs - expected)[inside].max() < 1.6


def test_grey_has_the_curve_alone() -> None:
    space = Space(primaries=BT709, curves=(Curve(gamma=1.8),) * 3)
    icc = make_profile(space, grey=True)
    assert icc is not None
    assert matching_profile(icc, "grey", []) == icc
    grey = noise(1, 20, 30, 1)
    ours, _ = to_srgb(grey, "grey", icc, [])
    assert np.abs(ours - encoded((grey / 255) ** 1.8)).max() < 1.6


def test_srgb_in_any_words_takes_no_profile() -> None:
    for space in (SRGB, space_of_codes(1, 13), space_of_codes(2, 13), space_of_codes(1, 2)):
        assert space is not None
        assert make_profile(space, False) is None
        assert make_profile(space, True) is None
    assert space_of_codes(2, 2) is None


@pytest.mark.parametrize(
    "primaries",
    [
        Primaries(white=(0.0, 0.0), red=(0.64, 0.33), green=(0.3, 0.6), blue=(0.15, 0.06)),
        Primaries(white=(0.3127, 0.329), red=(0.3, 0.3), green=(0.3, 0.3), blue=(0.3, 0.3)),
        Primaries(white=(0.3127, 0.329), red=(0.1, 0.1), green=(0.2, 0.2), blue=(0.3, 0.3)),
    ],
)
def test_primaries_that_are_none_give_no_profile(primaries: Primaries) -> None:
    assert make_profile(Space(primaries=primaries, curves=(Curve(gamma=1.8),) * 3), False) is None


def test_unknown_codes_are_told() -> None:
    space = space_of_codes(99, 13)
    assert space is not None
    assert space.note == "its colours have the codes 99 and 13, which are not known: taken for sRGB"
    assert make_profile(space, False) is None


def test_every_code_gives_a_profile_that_littlecms_reads() -> None:
    for primaries in (1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22):
        for transfer in (1, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18):
            space = space_of_codes(primaries, transfer)
            assert space is not None
            icc = make_profile(space, False)
            if icc is None:
                assert (primaries, transfer) == (1, 13)
                continue
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile
            assert profile.is_matrix_shaper
            assert matching_profile(icc, "rgb", []) == icc
            # White is white, whatever is taken for it.
            white, _ = to_srgb(np.full((1, 1, 3), 255, np.uint8), "rgb", icc, [])
            assert white.min() >= 254


def test_the_same_space_gives_the_same_bytes() -> None:
    assert make_profile(ADOBE_RGB, False) == make_profile(ADOBE_RGB, False)
