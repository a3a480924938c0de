"""Colour profiles, and the way from CMYK to RGB."""

from __future__ import annotations

import io
import struct
from typing import Any, Literal

import numpy as np
from PIL import ImageCms

from arm_batch.core.arrays import Pixels, Singles
from arm_batch.images.vips import Vips, VipsError, from_array, from_lab, set_blob, to_array

Model = Literal["grey", "rgb", "cmyk"]
"""What the colour bands of an image mean."""

_LAST_INTENT = 0xFFFF
_WORDS_SINCE = 4
"""Version of profiles."""

_SPACES: dict[Model, str] = {"grey": "GRAY", "rgb": "RGB", "cmyk": "CMYK"}


def matching_profile(icc: bytes | None, model: Model, notes: list[str]) -> bytes | None:
    """The profile, or ``None`` with a note where it is broken or for another kind of colours."""
    if icc is None:
        return None
    try:
        icc = _whole_profile(icc)
        space = ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space.strip()
    except (OSError, ValueError, struct.error, ImageCms.PyCMSError):
        notes.append("its colour profile is broken and is dropped")
        return None
    if space != _SPACES[model]:
        notes.append(f"its colour profile is for {space}, not for its colours, and is dropped")
        return None
    return icc


def _whole_profile(icc: bytes) -> bytes:
    """The profile at the length that it says, which version 4 wants in whole words.

    littleCMS forgives what libpng does not: an image with such a profile could be read and not be written.

    Raises:
        ValueError: its header or table of tags is broken, or it is not that of a device.
        struct.error: it is too short.
    """
    size, device, space = struct.unpack_from(">I8x4s4x4s", icc)
    (intent,) = struct.unpack_from(">I", icc, 64)
    (n_tags,) = struct.unpack_from(">I", icc, 128)
    if size > len(icc) or 132 + 12 * n_tags > size or intent > _LAST_INTENT:
        raise ValueError("broken header")
    if device in (b"abst", b"link") or space not in (b"XYZ ", b"Lab "):
        raise ValueError("not of a device")
    for number in range(n_tags):
        start, length = struct.unpack_from(">II", icc, 136 + 12 * number)
        if start + length > size:
            raise ValueError("broken tag")
    if icc[8] >= _WORDS_SINCE and size % 4:
        whole = size + -size % 4
        return struct.pack(">I", whole) + icc[4:size].ljust(whole - 4, b"\0")
    return icc[:size]


def to_srgb(colours: Pixels, model: Model, icc: bytes | None, notes: list[str]) -> tuple[Pixels, bytes | None]:
    """Colours in sRGB and no profile; or both as they are, with a note, where the profile cannot be applied.

    Args:
        colours: uint8 or uint16 ``(h, w, c)``, contiguous.
        model: what they are.
        icc: a profile for such colours; ``None`` for what is sRGB already.
        notes: for the user.
    """
    if icc is None:
        return colours, None
    try:
        return _convert(colours, model, icc), None
    except VipsError:
        notes.append("its colour profile cannot be applied")
        return colours, icc


def _convert(colours: Pixels, model: Model, icc: bytes) -> Pixels:
    """By a profile, relative to white and with black points matched; grey stays grey, the rest becomes RGB."""
    image = from_array(colours, model)
    set_blob(image, "icc-profile-data", icc)
    converted = image.icc_transform(
        "srgb",
        embedded=True,
        intent="relative",
        black_point_compensation=True,
        depth=16 if colours.dtype == np.uint16 else 8,
    )
    bands = to_array(converted)
    # The grey of sRGB has three equal channels.
    return np.ascontiguousarray(bands[..., 1:2]) if model == "grey" else bands


def cmyk_to_srgb(colours: Pixels, icc: bytes | None, notes: list[str]) -> Pixels:
    """CMYK, where the highest level is full ink, to sRGB: by its profile, else as if inks were ideal filters.

    Args:
        colours: uint8 or uint16 ``(h, w, 4)``, contiguous.
        icc: a CMYK profile.
        notes: gets one that says which way was taken.
    """
    converted, left = to_srgb(colours, "cmyk", icc, notes)
    if icc is not None and left is None:
        notes.append("CMYK, converted to sRGB by its profile")
        return converted
    notes.append("CMYK, converted to sRGB without a profile")
    peak = np.uint32(np.iinfo(colours.dtype).max)
    paper = peak - colours.astype(np.uint32)
    rgb = (paper[..., :3] * paper[..., 3:] + peak // 2) // peak
    return rgb.astype(colours.dtype)


def lab_to_srgb(lab: Singles, dtype: np.dtype[Any]) -> Pixels:
    """CIE L*a*b* of the white D50, as files hold it, to sRGB relative to white.

    Args:
        lab: ``(h, w, 3)``, L* from 0 to 100.
        dtype: uint8 or uint16.
    """
    return to_array(vips_lab_to_srgb(from_lab(lab), 8 * dtype.itemsize))


def vips_lab_to_srgb(image: Vips, bits: int) -> Vips:
    """The same for an image of libvips, to 8 or 16 bits."""
    return image.icc_export(output_profile="srgb", intent="relative", depth=bits)
