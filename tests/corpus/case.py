"""What a case of the corpus is: a file, and what has to become of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arm_batch.core.arrays import Pixels
from arm_batch.core.image_options import Reading

READING = Reading(max_pixels=2**27, float_range=(0, 1))
"""How the whole corpus is read. The bombs are larger."""


@dataclass(frozen=True)
class Upscaled:
    """An output.

    Attributes:
        bands: what the input shows, upright: uint8 or uint16 ``(h, w, n)``: colours, alpha, further bands.
        format: of the output, under `--format auto`.
        notes: of its row.
        icc: the profile in the output.
        within: by how many levels of 8 bits the output, averaged to the size of the input, may differ from `bands`
            in the mean.
    """

    bands: Pixels
    format: str = "png"
    notes: tuple[str, ...] = ()
    icc: bytes | None = None
    within: float = 2


@dataclass(frozen=True)
class Failed:
    """A failed row.

    Attributes:
        reason: all of what the row says; a regular expression.
    """

    reason: str


@dataclass(frozen=True)
class Case:
    """A file and what becomes of it."""

    data: bytes
    outcome: Upscaled | Failed


def in_levels_of_8(bands: np.ndarray) -> np.ndarray:
    """Float64, 0 to 255."""
    return bands / (257 if bands.dtype == np.uint16 else 1)


Sound = dict[str, tuple[bytes, Upscaled | Failed | Pixels]]
"""Files by name, and what comes of them, or just what they show."""

BROKEN = "its colour profile is broken and is dropped"
WRONG = "its colour profile is for {}, not for its colours, and is dropped"
PLAIN_CMYK = "CMYK, converted to sRGB without a profile"
CMYK_BY_PROFILE = "CMYK, converted to sRGB by its profile"
