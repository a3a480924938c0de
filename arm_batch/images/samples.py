"""From what a reader found in a file to a picture: the same steps for all formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from arm_batch.core.arrays import Array, Pixels
from arm_batch.core.image_options import Reading
from arm_batch.core.tiling.alpha import fill_hidden
from arm_batch.errors import ImageError
from arm_batch.images.colour import Model, cmyk_to_srgb, matching_profile, to_srgb
from arm_batch.images.picture import Picture
from arm_batch.metadata import Metadata
from arm_batch.metadata.described import space_of_camera, space_of_tiff
from arm_batch.metadata.exif import (
    ORIENTATION,
    Exif,
    ExifError,
    as_srgb,
    dpi_of,
    lasting,
    orientation_of,
    serialise,
    turned,
)
from arm_batch.metadata.geotiff import no_data, without_no_data
from arm_batch.metadata.icc import make_profile
from arm_batch.metadata.spaces import Space
from arm_batch.metadata.texts import Text
from arm_batch.metadata.xmp import lasting_xmp, orientation_of_xmp, srgb_xmp

_BANDS_AT_ONCE = 4

_TRANSPOSED = (5, 6, 7, 8)
"""Orientations."""

_COLOURS: dict[Model, int] = {"grey": 1, "rgb": 3, "cmyk": 4}


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What a reader found in a file.

    Attributes:
        bands: ``(h, w, n)``: the colours, then alpha if there is any, then the rest; not premultiplied.
        model: what the colours are.
        has_alpha: whether the band after the colours is alpha.
        format: a key of `formats.FAMILY`.
        icc: the profile.
        space: what the file says of its colours besides, but for what EXIF says.
        is_srgb: whether the reader has converted them to sRGB.
        exif: reads it, with the orientation that is still to be applied; raises `ExifError`.
        xmp: the packet.
        dpi: where EXIF does not tell.
        geo: where on earth it lies, as tags of TIFF.
        texts: of PNG, and comments of JPEG.
        notes: for the user.
    """

    bands: Array
    model: Model
    has_alpha: bool
    format: str
    icc: bytes | None = None
    space: Space | None = None
    is_srgb: bool = False
    exif: Callable[[], Exif] = Exif
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    geo: Exif | None = None
    texts: tuple[Text, ...] = ()
    notes: tuple[str, ...] = ()


IPTC_LOST = "its IPTC block is left out"
"""A note."""


def check_size(width: int, height: int, reading: Reading, bands: int = 1) -> None:
    """Refuse, before anything is decoded, an image without pixels or with too many; `ImageError`.

    What has more than four bands counts for several images.
    """
    if width < 1 or height < 1:
        raise ImageError("has no pixels")
    if width * height * -(-bands // _BANDS_AT_ONCE) > reading.max_pixels:
        of_bands = f" of {bands:,} bands" if bands > _BANDS_AT_ONCE else ""
        raise ImageError(f"{width} x {height} px{of_bands} are more than the {reading.max_pixels:,} allowed")


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


def to_picture(samples: Samples, reading: Reading, turn: bool = True) -> Picture:
    """Map, turn upright, split and convert.

    Args:
        samples: what a reader found.
        reading: how.
        turn: whether the orientation is applied; else it is left to who asks `orientation`.

    Raises:
        ImageError: the kind of samples is refused.
    """
    notes = list(samples.notes)
    exif = _readable_exif(samples, notes)
    direction = _orientation(samples, exif) if turn else 1
    bands = _turn(_to_levels(samples.bands, reading, notes), direction)
    n_colours = _COLOURS[samples.model]
    colours, planes = bands[..., :n_colours], np.ascontiguousarray(bands[..., n_colours:])
    has_alpha = samples.has_alpha
    if has_alpha and (planes[..., 0] == np.iinfo(planes.dtype).max).all():
        has_alpha, planes = False, np.ascontiguousarray(planes[..., 1:])
    colours = np.ascontiguousarray(colours)
    if has_alpha:
        colours = fill_hidden(colours, planes[..., 0])
    icc = _profile(samples, exif, notes)
    if samples.model == "cmyk":
        colours, left = cmyk_to_srgb(colours, icc, notes), None
    else:
        colours, left = to_srgb(colours, samples.model, icc, notes) if reading.to_srgb else (colours, icc)
    exif = turned(exif, direction, samples.bands.shape[1], samples.bands.shape[0])
    metadata = _metadata(samples, exif, direction, left, icc is not None and left is None, notes)
    return Picture(
        pixels=colours,
        planes=planes,
        has_alpha=has_alpha,
        metadata=metadata,
        format=samples.format,
        notes=tuple(notes),
    )


def _profile(samples: Samples, exif: Exif, notes: list[str]) -> bytes | None:
    """The one in the file, or else one made from what the file says of its colours in other ways."""
    icc = matching_profile(samples.icc, samples.model, notes)
    if icc is not None or samples.model == "cmyk" or samples.is_srgb:
        return icc
    space = samples.space or (space_of_tiff(exif) if samples.format == "tiff" else space_of_camera(exif))
    if space is None:
        return None
    if space.note is not None:
        notes.append(space.note)
    return make_profile(space, samples.model == "grey")


def orientation(samples: Samples) -> int:
    """How the picture is to be turned, 1..8: as EXIF says, else XMP."""
    return _orientation(samples, _readable_exif(samples, []))


def _orientation(samples: Samples, exif: Exif) -> int:
    if exif.entry(ORIENTATION) is None and samples.xmp is not None:
        return orientation_of_xmp(samples.xmp)
    return orientation_of(exif)


def _metadata(
    samples: Samples, exif: Exif, direction: int, icc: bytes | None, converted: bool, notes: list[str]
) -> Metadata:
    """What lasts, of a picture that was turned and may have been converted to sRGB."""
    told = dpi_of(exif)
    dpi = samples.dpi if told is None else told
    if dpi is not None and told is None and direction in _TRANSPOSED:
        dpi = dpi[1], dpi[0]
    exif = lasting(exif, samples.format == "tiff", notes)
    xmp = None if samples.xmp is None else lasting_xmp(samples.xmp, notes)
    if converted:
        exif, xmp = as_srgb(exif), None if xmp is None else srgb_xmp(xmp)
    geo = _geo(samples, direction, notes)
    return Metadata(icc=icc, exif=serialise(exif) or None, xmp=xmp, dpi=dpi, geo=geo, texts=samples.texts)


def _geo(samples: Samples, direction: int, notes: list[str]) -> Exif | None:
    geo = samples.geo
    if geo is not None and direction != 1:
        notes.append("its georeference is left out: the picture was turned")
        return None
    level = None if geo is None else no_data(geo)
    if geo is None or level is None:
        return geo
    if samples.bands.dtype not in (np.uint8, np.uint16):
        notes.append(f"its level of no data, {level}, is left out: its samples became 16 bits")
        return without_no_data(geo)
    notes.append(f"pixels of no data ({level}) are upscaled like others: at their edges levels lie between")
    return geo


def _to_levels(bands: Array, reading: Reading, notes: list[str]) -> Pixels:
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


def _readable_exif(samples: Samples, notes: list[str]) -> Exif:
    try:
        return samples.exif()
    except ExifError as error:
        notes.append(f"its EXIF cannot be read and is dropped: {error}")
        return Exif()
