"""How images are to be read and written, as far as a user decides it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from arm_batch.errors import UsageError

FormatName = Literal["png", "jpeg", "webp", "tiff", "avif"]
"""What can be written."""

AUTO = "auto"
"""In place of a format: each image keeps the family of its own."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Which images are taken, and how their samples become pixels.

    Attributes:
        max_pixels: of an image as it lies in the archive; more is taken for a decompression bomb.
        to_srgb: whether colours are converted to sRGB by the profile, which is then dropped; else both are kept.
        float_range: the values that become black and white, where samples are floating point, signed or of 32
            bits; ``None`` refuses such images.
        frames: of several frames or pages the first, or the one with this number, counted from 0; ``refuse`` takes
            none.
        column: of images in Parquet files; ``None`` to find it.
    """

    max_pixels: int = 2**30
    to_srgb: bool = False
    float_range: tuple[float, float] | None = None
    frames: Literal["first", "refuse"] | int = "first"
    column: str | None = None

    def __post_init__(self) -> None:
        if self.max_pixels < 1:
            raise UsageError(f"at most {self.max_pixels} pixels leaves no image")
        if isinstance(self.frames, int) and self.frames < 0:
            raise UsageError(f"frame {self.frames}: frames are counted from 0")
        if self.float_range is not None:
            low, high = self.float_range
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise UsageError(f"a range of samples from {low:g} to {high:g} is none")

    def settings(self) -> dict[str, str]:
        """What decides the output, as text."""
        low_high = self.float_range
        return {
            "max-pixels": str(self.max_pixels),
            "to-srgb": str(self.to_srgb).lower(),
            "float-range": "none" if low_high is None else f"{low_high[0]!r},{low_high[1]!r}",
            "frames": str(self.frames),
            **({} if self.column is None else {"image-column": self.column}),
        }


DEFAULT_READING = Reading()


@dataclass(frozen=True)
class Writing:
    """How upscaled images are written.

    Attributes:
        format: a `FormatName`, or `AUTO`.
        quality: 1..100, of formats that lose something.
        strip_metadata: whether EXIF and XMP are left out; the colour profile stays, the colours need it.
    """

    format: str = AUTO
    quality: int = 95
    strip_metadata: bool = False

    def __post_init__(self) -> None:
        known = (AUTO, *get_args(FormatName))
        if self.format not in known:
            raise UsageError(f"unknown format {self.format!r}; known: {', '.join(known)}")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"quality {self.quality} is not within 1 to 100")

    def settings(self) -> dict[str, str]:
        """What decides the output beside the format, as text."""
        return {"quality": str(self.quality), "strip-metadata": str(self.strip_metadata).lower()}


DEFAULT_WRITING = Writing()


def parse_float_range(text: str) -> tuple[float, float]:
    """Read ``LOW,HIGH``; `UsageError` when it is not two numbers.

    >>> parse_float_range("0,1.5")
    (0.0, 1.5)
    """
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise UsageError(f"{text!r} is no range of samples: write two numbers such as 0,1") from None
    return low, high


def parse_frames(text: str) -> Literal["first", "refuse"] | int:
    """Read ``first``, ``refuse`` or a number; `UsageError` when it is none of them.

    >>> parse_frames("2")
    2
    """
    if text == "first":
        return "first"
    if text == "refuse":
        return "refuse"
    if not text.isdecimal():
        raise UsageError(f"{text!r} says nothing of frames: write first, refuse, or a number from 0")
    return int(text)
