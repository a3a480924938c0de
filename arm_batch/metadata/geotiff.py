"""Where on earth the pixels of a GeoTIFF lie, and where they lie once there are more of them.

Rasters count from the corner of the first pixel, or from its middle where a key says that pixels are points; RPC
always from its middle.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from arm_batch.core.arrays import Floats
from arm_batch.metadata.exif import Entry, Exif, Tags, parse_tiff

_SCALE, _TIE_POINTS, _TRANSFORMATION, _OLD_TRANSFORMATION = 33550, 33922, 34264, 33920
_KEYS, _NUMBERS, _TEXTS = 34735, 34736, 34737
_GDAL, NO_DATA = 42112, 42113
_RPC = 50844

TAGS = frozenset(
    {_SCALE, _TIE_POINTS, _TRANSFORMATION, _OLD_TRANSFORMATION, _KEYS, _NUMBERS, _TEXTS, _GDAL, NO_DATA, _RPC}
)

_CODES = {3: "H", 11: "f", 12: "d"}
"""Kinds of numbers that these tags have."""

_DOUBLE = 12
_RASTER_TYPE, _POINTS = 1025, 2
_RPC_LINE, _RPC_SAMPLE, _RPC_LINE_SCALE, _RPC_SAMPLE_SCALE = 2, 3, 7, 8


def read_geo(stream: BinaryIO, offset: int) -> Exif | None:
    """What the directory there says of places and of pixels without data; None where it says nothing."""
    found = parse_tiff(stream, offset, TAGS)
    return replace(found, lost=0) if found.tags else None


def without_no_data(geo: Exif) -> Exif | None:
    """For samples that are no longer in the levels of the file."""
    tags: Tags = {tag: entry for tag, entry in geo.tags.items() if tag != NO_DATA}
    return replace(geo, tags=tags) if tags else None


def no_data(geo: Exif) -> str | None:
    """The level of pixels without data, as the file spells it."""
    entry = geo.entry(NO_DATA)
    return None if entry is None else entry.data.rstrip(b"\0").decode("ascii", "replace").strip()


def enlarged_geo(geo: Exif, scale: int) -> Exif:
    """For a picture that was enlarged so many times; what cannot be said anew is left out."""
    shift = (scale - 1) / 2
    corner = shift if _pixels_are_points(geo) else 0.0
    changes: dict[int, Callable[[Floats], Floats]] = {
        _SCALE: lambda values: values / ([scale, scale, 1][: len(values)]),
        _TIE_POINTS: lambda values: _tied(values, scale, corner),
        _TRANSFORMATION: lambda values: _transformed(values, scale, corner),
        _OLD_TRANSFORMATION: lambda values: _transformed(values, scale, corner),
        _RPC: lambda values: _rational(values, scale, shift),
    }
    tags = dict(geo.tags)
    for tag, change in changes.items():
        values = _values(geo, geo.entry(tag))
        tags.pop(tag, None)
        if values is not None and len(values) >= {_SCALE: 2, _TIE_POINTS: 6, _RPC: 92}.get(tag, 16):
            tags[tag] = _entry(geo, change(values))
    return replace(geo, tags=tags)


def affine(geo: Exif) -> tuple[float, float, float, float, float, float] | None:
    """What a world file says: of x and y the step across and down, and then the middle of the first pixel.

    None where a single scale or transformation does not tell it.
    """
    half = 0.0 if _pixels_are_points(geo) else 0.5
    matrix = _values(geo, geo.entry(_TRANSFORMATION))
    if matrix is not None and len(matrix) >= 8:
        (a, b, _, x), (c, d, _, y) = matrix[:4], matrix[4:8]
    else:
        steps, ties = _values(geo, geo.entry(_SCALE)), _values(geo, geo.entry(_TIE_POINTS))
        if steps is None or ties is None or len(steps) < 2 or len(ties) < 6:
            return None
        a, b, c, d = steps[0], 0.0, 0.0, -steps[1]
        x, y = ties[3] - a * ties[0], ties[4] - d * ties[1]
    return float(a), float(c), float(b), float(d), float(x + half * (a + b)), float(y + half * (c + d))


def _pixels_are_points(geo: Exif) -> bool:
    keys = _values(geo, geo.entry(_KEYS))
    if keys is None:
        return False
    entries = keys[4 : len(keys) // 4 * 4].reshape(-1, 4)
    return bool((entries[:, [0, 1, 3]] == (_RASTER_TYPE, 0, _POINTS)).all(axis=1).any())


def _tied(values: Floats, scale: int, corner: float) -> Floats:
    points = values[: len(values) // 6 * 6].reshape(-1, 6).copy()
    points[:, :2] = points[:, :2] * scale + corner
    return points.ravel()


def _transformed(values: Floats, scale: int, corner: float) -> Floats:
    matrix = values[:16].reshape(4, 4).copy()
    matrix[:3, :2] /= scale
    matrix[:3, 3] -= corner * (matrix[:3, 0] + matrix[:3, 1])
    return matrix.ravel()


def _rational(values: Floats, scale: int, shift: float) -> Floats:
    found = values.copy()
    found[[_RPC_LINE, _RPC_SAMPLE]] = found[[_RPC_LINE, _RPC_SAMPLE]] * scale + shift
    found[[_RPC_LINE_SCALE, _RPC_SAMPLE_SCALE]] *= scale
    return found


def _values(geo: Exif, entry: Entry | None) -> Floats | None:
    """None where it has none that can be read."""
    if entry is None or entry.kind not in _CODES:
        return None
    return np.array(struct.unpack(f"{geo.order}{entry.count}{_CODES[entry.kind]}", entry.data), np.float64)


def _entry(geo: Exif, values: Floats) -> Entry:
    return Entry(kind=_DOUBLE, count=len(values), data=struct.pack(f"{geo.order}{len(values)}d", *values))
