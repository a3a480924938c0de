"""From what a reader found in a file to a picture: the same steps for all formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from arm_batch.core.imaging import Reading
from arm_batch.core.tiles import Pixels
from arm_batch.core.transparency import fill_hidden
from arm_batch.errors import ImageError
from arm_batch.store.codecs.colour import Model, cmyk_to_srgb, matching_profile, to_srgb
from arm_batch.store.codecs.metadata import dpi_of, lasting_exif, lasting_xmp, orientation_of
from arm_batch.store.codecs.picture import Metadata, Picture

_BANDS_AT_ONCE = 4

_TRANSPOSED = (5, 6, 7, 8)
"""Orientations."""

_COLOURS: dict[Model, int] = {"grey": 1, "rgb": 3, "cmyk": 4}


@dataclass(frozen=True)
class Samples:
    """What a reader found in a file.

    Attributes:
        bands: ``(h, w, n)``: the colours, then alpha if there is any, then the rest; not premultiplied.
        model: what the colours are.
        has_alpha: whether the band after the colours is alpha.
        format: a key of `formats.FAMILY`.
        icc: the profile.
        exif: reads it, with the orientation that is still to be applied; raises what Pillow trips over.
        xmp: the packet.
        dpi: where EXIF does not tell.
        notes: for the user.
    """

    bands: NDArray[Any]
    model: Model
    has_alpha: bool
    format: str
    icc: bytes | None = None
    exif: Callable[[], Image.Exif] = Image.Exif
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def check_size(width: int, height: int, reading: Reading, bands: int = 1) -> None:
    """Refuse, before anything is decoded, an image without pixels or with too many; `ImageError`.

    What has more than four bands counts for several images.
    """
    if width < 1 or height < 1:
        raise ImageError("has no pixels")
    if width * height * -(-bands // _BANDS_AT_ONCE) > reading.max_pixels:
        raise ImageError(f"{width} x {height} px are more than the {reading.max_pixels:,} allowed")


def choose_frame(count: int, reading: Reading) -> tuple[int, tuple[str, ...]]:
    """Which of `count` frames is read, and a note where that leaves others out.

    Raises:
        ImageError: there are several and that is refused, or the one asked for is not there.
    """
    if reading.frames == "refuse" and count > 1:
        raise ImageError(f"has {count} frames or pages, which --frames refuse does not take")
    index = reading.frames if isinstance(reading.frames, int) else 0
    if index >= count:
        raise ImageError(f"has no frame {index}: {count} in all, counted from 0")
    return index, () if count == 1 else (f"frame {index} of {count}",)


def to_picture(samples: Samples, reading: Reading) -> Picture:
    """Map, turn upright, split and convert.

    Raises:
        ImageError: the kind of samples is refused.
    """
    notes = list(samples.notes)
    orientation, exif, dpi = _read_exif(samples, notes)
    bands = _turn(_to_levels(samples.bands, reading, notes), orientation)
    n_colours = _COLOURS[samples.model]
    colours, planes = bands[..., :n_colours], np.ascontiguousarray(bands[..., n_colours:])
    has_alpha = samples.has_alpha
    if has_alpha and (planes[..., 0] == np.iinfo(planes.dtype).max).all():
        has_alpha, planes = False, np.ascontiguousarray(planes[..., 1:])
    colours = np.ascontiguousarray(colours)
    if has_alpha:
        colours = fill_hidden(colours, planes[..., 0])
    icc = matching_profile(samples.icc, samples.model, notes)
    if samples.model == "cmyk":
        colours, icc = cmyk_to_srgb(colours, icc, notes), None
    elif reading.to_srgb:
        colours, icc = to_srgb(colours, samples.model, icc, notes)
    xmp = None if samples.xmp is None else lasting_xmp(samples.xmp)
    return Picture(colours, planes, has_alpha, Metadata(icc, exif, xmp, dpi), samples.format, tuple(notes))


def _to_levels(bands: NDArray[Any], reading: Reading, notes: list[str]) -> Pixels:
    if bands.dtype in (np.uint8, np.uint16):
        return bands
    if reading.float_range is None:
        raise ImageError(
            f"has {bands.dtype} samples: say with --float-range which of their values are black and white"
        )
    low, high = reading.float_range
    # What is infinite is far beyond black or white, as what becomes so here.
    with np.errstate(over="ignore", invalid="ignore"):
        levels = (np.nan_to_num(bands.astype(np.float64), nan=low) - low) * (65535 / (high - low))
    notes.append(f"{bands.dtype} samples from {low:g} to {high:g} became 16 bits")
    return np.asarray(np.rint(levels.clip(0, 65535)), np.uint16)


def _turn(bands: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation; what is not transposition are mirrorings."""
    if orientation in _TRANSPOSED:
        bands = bands.transpose(1, 0, 2)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return bands[::rows, ::columns]


def _read_exif(samples: Samples, notes: list[str]) -> tuple[int, bytes | None, tuple[float, float] | None]:
    """The orientation; what of EXIF lasts; and dots per inch of the image when it is upright."""
    try:
        exif = samples.exif()
        orientation, lasting, dpi = orientation_of(exif), lasting_exif(exif), dpi_of(exif) or samples.dpi
    except Exception as error:
        # Cameras and editors write what they like, and Pillow trips over it in as many ways; the pixels are sound.
        notes.append(f"its EXIF cannot be read and is dropped ({type(error).__name__})")
        return 1, None, samples.dpi
    if dpi is not None and orientation in _TRANSPOSED:
        dpi = dpi[1], dpi[0]
    return orientation, lasting, dpi
