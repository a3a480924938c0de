"""The formats that can be written, what they can hold, and which of them an image gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from arm_batch.core.image_options import AUTO
from arm_batch.errors import ImageError


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format that can be written.

    Attributes:
        extension: of its files, with the dot.
        sixteen_bit: whether it holds 16 bits per channel.
        alpha: whether it holds transparency.
        planes: whether it holds further bands.
        max_side: px.
        bytes_per_pixel: of upscaled photographs of 8 bits, see "Encoding" in docs/benchmarks.md.
    """

    extension: str
    sixteen_bit: bool
    alpha: bool
    planes: bool
    max_side: int
    bytes_per_pixel: float


FORMATS: dict[str, Format] = {
    "png": Format(
        extension=".png", sixteen_bit=True, alpha=True, planes=False, max_side=1_000_000, bytes_per_pixel=1.39
    ),
    "jpeg": Format(
        extension=".jpg", sixteen_bit=False, alpha=False, planes=False, max_side=65_500, bytes_per_pixel=0.37
    ),
    "webp": Format(
        extension=".webp", sixteen_bit=False, alpha=True, planes=False, max_side=16_383, bytes_per_pixel=0.22
    ),
    "tiff": Format(
        extension=".tif", sixteen_bit=True, alpha=True, planes=True, max_side=10_000_000, bytes_per_pixel=1.52
    ),
    "avif": Format(
        extension=".avif", sixteen_bit=False, alpha=True, planes=False, max_side=16_384, bytes_per_pixel=0.29
    ),
}
"""By the name that `Writing` uses."""

FAMILY = {
    "jpeg": "jpeg",
    "png": "png",
    "webp": "webp",
    "webp-lossless": "png",
    "tiff": "tiff",
    "bmp": "png",
    "gif": "png",
    "avif": "avif",
    "heif": "jpeg",
    "jp2": "jpeg",
    "jp2-lossless": "png",
}
"""What `AUTO` writes for each format that can be read: lossy stays lossy, lossless stays lossless."""

EXTENSION_FAMILY = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".heic", ".heif"), "jpeg"),
    **dict.fromkeys((".tif", ".tiff"), "tiff"),
    ".webp": "webp",
    ".avif": "avif",
}
"""What `AUTO` is expected to write for files with these extensions; for all others PNG."""


def choose_format(
    wanted: str,
    source: str,
    height: int,
    width: int,
    dtype: np.dtype[Any],
    has_alpha: bool,
    n_planes: int,
) -> tuple[str, str | None]:
    """The format that an output gets, known before any work is done.

    Args:
        wanted: a key of `FORMATS`, or `AUTO`.
        source: format of the input, a key of `FAMILY`.
        height: of the output, px.
        width: of the output, px.
        dtype: of its samples.
        has_alpha: whether it has transparency.
        n_planes: alpha and further bands.

    Returns:
        The format, and a note where it is not the wanted one: the first of PNG and TIFF that loses nothing.

    Raises:
        ImageError: no format can hold it.
    """
    first = FAMILY[source] if wanted == AUTO else wanted
    reasons: list[str] = []
    for name in (first, "png", "tiff"):
        reason = _misfit(FORMATS[name], height, width, dtype, has_alpha, n_planes)
        if reason is None:
            return name, f"written as {name}: {reasons[0]} do not fit into {first}" if reasons else None
        reasons.append(reason)
    raise ImageError(f"{reasons[-1]} do not fit into any format")


def _misfit(
    format: Format, height: int, width: int, dtype: np.dtype[Any], has_alpha: bool, n_planes: int
) -> str | None:
    if max(height, width) > format.max_side:
        return f"{width} x {height} px"
    if dtype == np.uint16 and not format.sixteen_bit:
        return "16 bits per channel"
    if n_planes > has_alpha and not format.planes:
        return "bands beside the colours"
    if has_alpha and not format.alpha:
        return "transparent pixels"
    return None
