"""Images that are read once, from top to bottom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from arm_batch.core.arrays import Pixels
from arm_batch.core.tiling.grid import Rows
from arm_batch.errors import ImageError
from arm_batch.images import Picture
from arm_batch.metadata import Metadata


@dataclass(frozen=True, kw_only=True)
class Strips:
    """One image, as `Picture` has it, but for its pixels, which are read once and in order.

    Attributes:
        height: px.
        width: px.
        colours: channels of the colours, 1 or 3.
        planes: channels beyond them, see `Picture.planes`.
        has_alpha: whether the first plane is alpha.
        dtype: uint8 or uint16.
        metadata: beside the pixels.
        orientation: EXIF's, 1..8, that the rows are not turned by and the output must say again; mostly 1.
        format: of the file.
        notes: for the user.
        rows: ``(n, width, colours + planes)``.
    """

    height: int
    width: int
    colours: int
    planes: int
    has_alpha: bool
    dtype: np.dtype[Any]
    metadata: Metadata
    orientation: int
    format: str
    notes: tuple[str, ...]
    rows: Rows


def read_through(strips: Strips) -> None:
    """Decode all of it, to see whether that works; `ImageError` where it does not."""
    step = 256
    for top in range(0, strips.height, step):
        stop = min(top + step, strips.height)
        if strips.rows(top, stop).shape[0] != stop - top:
            raise ImageError("cannot be decoded: rows are missing")


def of_picture(picture: Picture) -> Strips:
    """Of an image that is decoded at once."""
    pixels, planes = picture.pixels, picture.planes

    def rows(start: int, stop: int) -> Pixels:
        if not planes.shape[2]:
            return pixels[start:stop]
        return np.concatenate([pixels[start:stop], planes[start:stop]], axis=2)

    height, width, colours = pixels.shape
    return Strips(
        height=height,
        width=width,
        colours=colours,
        planes=planes.shape[2],
        has_alpha=picture.has_alpha,
        dtype=pixels.dtype,
        metadata=picture.metadata,
        orientation=1,
        format=picture.format,
        notes=picture.notes,
        rows=rows,
    )
