"""What the samples of a TIFF page mean, where libvips does not know it or takes it for something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from arm_batch.core.arrays import Pixels
from arm_batch.errors import ImageError
from arm_batch.images.colour import Model, lab_to_srgb

_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _SAMPLE_FORMAT = 258, 259, 262, 277, 339
_COEFFICIENTS, _REFERENCE = 529, 532

_WHITE_IS_0, _YCBCR = 0, 6
_CIE_LAB, _ICC_LAB, _ITU_LAB = _LABS = (8, 9, 10)
_ICC_WHITE = 0xFF00
_ITU_RANGE, _ITU_LOW = np.array([170, 200], np.float32), np.array([85, 75], np.float32)
_JPEG = 7
_WHOLE = (1, 2, 4)
"""Sample formats of whole numbers: of those with a sign the bytes are the same."""

_DEEPEST = 16

_MODELS: dict[int, Model] = {0: "grey", 1: "grey", 2: "rgb", 5: "cmyk", 6: "rgb", 8: "rgb", 9: "rgb", 10: "rgb"}
COLOURS: dict[Model, int] = {"grey": 1, "rgb": 3, "cmyk": 4}

LAB = "Lab, converted to sRGB"

_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Meaning:
    """What samples mean.

    Attributes:
        model: what they are once converted; whatever else there is (inks, instruments) counts as grey with bands.
        convert: makes rows ``(n, width, bands)`` of uint8 or uint16 such colours; None where they are.
        note: for the user.
    """

    model: Model
    convert: Callable[[Pixels], Pixels] | None = None
    note: str | None = None


def is_converted(directory: ImageFileDirectory_v2) -> bool:
    """Whether the samples are to be read as they lie there and to be converted here."""
    photometric = directory.get(_PHOTOMETRIC)
    if directory.get(_SAMPLE_FORMAT, (1,))[0] not in _WHOLE or max(directory.get(_BITS, (1,))) > _DEEPEST:
        return False
    return photometric in _LABS or (photometric == _YCBCR and directory.get(_COMPRESSION, 1) != _JPEG)


def meaning_of(directory: ImageFileDirectory_v2) -> Meaning:
    """Of samples as they lie in the file.

    Raises:
        ImageError: there are too few bands for it, or its tags are broken.
    """
    photometric, samples = directory.get(_PHOTOMETRIC, 1), directory.get(_SAMPLES, 1)
    model = _MODELS.get(photometric, "grey")
    if samples < COLOURS[model]:
        raise ImageError(f"cannot be decoded: {samples} bands are too few for its colours")
    if photometric == _WHITE_IS_0:
        return Meaning(model, np.invert)
    if photometric == _YCBCR:
        return Meaning(model, partial(_by_rows, _ycbcr(directory)))
    if photometric in _LABS:
        return Meaning(model, partial(_by_rows, partial(_lab, photometric)), LAB)
    return Meaning(model)


def straight(colours: int, bands: Pixels) -> Pixels:
    """Colours that were multiplied by the alpha behind them, as they were before, in uint8 or uint16."""
    if bands.dtype not in (np.uint8, np.uint16):
        raise ImageError("has samples of an unusual kind, premultiplied by alpha, which is not read")
    peak = np.iinfo(bands.dtype).max
    converted = bands.copy()
    for top in range(0, len(bands), _ROWS_AT_ONCE):
        part = bands[top : top + _ROWS_AT_ONCE].astype(np.float32)
        alpha = np.maximum(part[..., colours : colours + 1], 1)
        levels = np.rint(part[..., :colours] * (peak / alpha)).clip(0, peak)
        converted[top : top + _ROWS_AT_ONCE, :, :colours] = levels
    return converted


def _by_rows(convert: Callable[[Pixels], Pixels], bands: Pixels) -> Pixels:
    """The first three bands converted, a few rows at a time: it takes several times as much memory as they do."""
    converted = bands.copy()
    for top in range(0, len(bands), _ROWS_AT_ONCE):
        part = slice(top, top + _ROWS_AT_ONCE)
        converted[part, :, :3] = convert(np.ascontiguousarray(bands[part, :, :3]))
    return converted


def _ycbcr(directory: ImageFileDirectory_v2) -> Callable[[Pixels], Pixels]:
    """To RGB, by the file's weights of the colours in luma and its levels of black and white."""
    red, green, blue = _floats(directory, _COEFFICIENTS, (0.299, 0.587, 0.114))
    reference = np.array(_floats(directory, _REFERENCE, (0, 255, 128, 255, 128, 255)))
    black, white = reference[::2], reference[1::2]
    if not (0 < green < 1 and (white > black).all()):
        raise ImageError("cannot be decoded: its tags are broken")
    scale = np.array([255, 127, 127]) / (white - black)
    to_red, to_blue = 2 - 2 * red, 2 - 2 * blue
    of_green = [1, -blue * to_blue / green, -red * to_red / green]
    matrix = (np.array([[1, 0, to_red], of_green, [1, to_blue, 0]]) * scale).T.astype(np.float32)

    def convert(pixels: Pixels) -> Pixels:
        # References are those of 8 bits, and stand for as much of more.
        unit = np.iinfo(pixels.dtype).max // 255
        rgb = (pixels - (unit * black).astype(np.float32)) @ matrix
        return np.asarray(np.rint(rgb).clip(0, 255 * unit), pixels.dtype)

    return convert


def _lab(photometric: int, pixels: Pixels) -> Pixels:
    deep = pixels.dtype == np.uint16
    unit, peak = (256, 65535) if deep else (1, 255)
    levels = pixels.astype(np.float32)
    if photometric == _CIE_LAB:
        signed = pixels.view(np.int16 if deep else np.int8)
        levels[..., 1:] = signed[..., 1:].astype(np.float32) / unit
    elif photometric == _ICC_LAB:
        levels[..., 1:] = levels[..., 1:] / unit - 128
    else:
        levels[..., 1:] = levels[..., 1:] / peak * _ITU_RANGE - _ITU_LOW
    levels[..., 0] *= 100 / (_ICC_WHITE if deep and photometric == _ICC_LAB else peak)
    return lab_to_srgb(levels, pixels.dtype)


def _floats(directory: ImageFileDirectory_v2, tag: int, default: tuple[float, ...]) -> tuple[float, ...]:
    values = tuple(float(value) for value in directory.get(tag, ()))
    return values if len(values) == len(default) and np.isfinite(values).all() else default
