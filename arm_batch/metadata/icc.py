"""Colour profiles made from what files say in other ways: a matrix and curves, of ICC version 4."""

from __future__ import annotations

import struct
from dataclasses import astuple

import numpy as np

from arm_batch.core.arrays import Floats
from arm_batch.metadata.spaces import SRGB, Curve, Point, Primaries, Space

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_NEAR = 0.002
"""Chromaticities that differ by less are the same, but for how they were rounded."""

_LEVELS = np.linspace(0, 1, 256)
_NEAR_LIGHT = 0.004
"""Curves that differ by less show the same, but for a level."""

_MADE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
"""When: always the same, so that the same picture gives the same bytes."""


def make_profile(space: Space, grey: bool) -> bytes | None:
    """A profile for a space, or None for one that is sRGB, or whose primaries are none.

    Args:
        space: what it describes.
        grey: whether it is for grey, of which only the curve counts.
    """
    if _is_srgb(space, grey):
        return None
    to_xyz = None if grey else _to_xyz(space.primaries)
    if not grey and to_xyz is None:
        return None
    adapt = _adaptation(space.primaries.white)
    tags = {
        b"desc": _text(space.name),
        b"cprt": _text("no copyright"),
        b"wtpt": _xyz(_D50),
        b"chad": b"sf32" + bytes(4) + _fixed(adapt.ravel()),
    }
    if to_xyz is None:
        tags[b"kTRC"] = _curve(space.curves[1])
    else:
        for name, column, curve in zip((b"r", b"g", b"b"), (adapt @ to_xyz).T, space.curves, strict=True):
            tags |= {name + b"XYZ": _xyz(column), name + b"TRC": _curve(curve)}
    if space.codes is not None and not grey:
        # Matrix 0 and full range, as RGB has them.
        tags[b"cicp"] = b"cicp" + bytes(4) + bytes([*space.codes, 0, 1])
    return _profile(tags, b"GRAY" if grey else b"RGB ")


def light_of(curve: Curve, samples: Floats) -> Floats:
    """Linear light of samples in [0, 1]."""
    if curve.table:
        return np.interp(samples, np.linspace(0, 1, len(curve.table)), curve.table)
    power = (curve.a * samples + curve.b).clip(0) ** curve.gamma
    return np.where(samples >= curve.d, power, curve.c * samples)


def _is_srgb(space: Space, grey: bool) -> bool:
    plain = light_of(SRGB.curves[0], _LEVELS)
    if any(np.abs(light_of(curve, _LEVELS) - plain).max() > _NEAR_LIGHT for curve in space.curves):
        return False
    pairs = zip(astuple(space.primaries), astuple(SRGB.primaries), strict=True)
    return grey or all(max(abs(a - b) for a, b in zip(*pair, strict=True)) < _NEAR for pair in pairs)


def _to_xyz(primaries: Primaries) -> Floats | None:
    """RGB to XYZ, white being 1, 1, 1; None where the primaries span no colours."""
    points = (primaries.red, primaries.green, primaries.blue)
    if min(primaries.white) <= 0 or sum(primaries.white) >= 1:
        return None
    columns = np.array([[x, y, 1 - x - y] for x, y in points]).T
    if abs(np.linalg.det(columns)) < 1e-4:
        return None
    return np.asarray(columns * np.linalg.solve(columns, _white(primaries.white)))


def _white(point: Point) -> Floats:
    x, y = point
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adaptation(white: Point) -> Floats:
    """To the white of profiles."""
    if min(white) <= 0:
        return np.eye(3)
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ _white(white))
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD)


def _fixed(values: Floats) -> bytes:
    return struct.pack(f">{values.size}i", *(round(float(value) * 65536) for value in values))


def _xyz(values: Floats) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _text(text: str) -> bytes:
    words = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(words), 28) + words


def _curve(curve: Curve) -> bytes:
    if curve.table:
        levels = np.rint(np.array(curve.table) * 65535).astype(">u2")
        return b"".join([b"curv", bytes(4), struct.pack(">I", len(levels)), levels.tobytes()])
    values = np.array([curve.gamma, curve.a, curve.b, curve.c, curve.d])
    return b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed(values)


def _profile(tags: dict[bytes, bytes], model: bytes) -> bytes:
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    placed: dict[bytes, int] = {}
    for name, value in tags.items():
        if value not in placed:
            placed[value] = start + len(body)
            body += value + bytes(-len(value) % 4)
        table += name + struct.pack(">II", placed[value], len(value))
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x04400000, b"mntr", model, b"XYZ ") + _MADE + b"acsp"
    return head.ljust(68, b"\0") + _fixed(_D50).ljust(60, b"\0") + table + body
