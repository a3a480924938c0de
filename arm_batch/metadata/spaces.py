"""Colour spaces, as files describe them in numbers: primaries, white and a curve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from arm_batch.core.arrays import Floats

Point = tuple[float, float]
"""Chromaticity, x and y."""

_D65, _C, _E, _DCI = (0.3127, 0.329), (0.31, 0.316), (1 / 3, 1 / 3), (0.314, 0.351)


@dataclass(frozen=True, kw_only=True)
class Primaries:
    """Chromaticities of white, red, green and blue."""

    white: Point
    red: Point
    green: Point
    blue: Point


@dataclass(frozen=True, kw_only=True)
class Curve:
    """From a sample in [0, 1] to linear light in [0, 1].

    ``(a * x + b) ** gamma`` from `d` on, ``c * x`` below; or, where there is a table, what that says.

    Attributes:
        table: light at samples that are evenly spaced.
    """

    gamma: float = 1.0
    a: float = 1.0
    b: float = 0.0
    c: float = 1.0
    d: float = 0.0
    table: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Space:
    """A colour space.

    Attributes:
        primaries: of its RGB.
        curves: of red, green and blue; of grey the middle one.
        codes: of primaries and curve in ITU-T H.273, for programs that know them; None for others.
        note: what a user should know of it.
        name: that a profile for it gets.
    """

    primaries: Primaries
    curves: tuple[Curve, Curve, Curve]
    codes: tuple[int, int] | None = None
    note: str | None = None
    name: str = "RGB as the file described it"


BT709 = Primaries(white=_D65, red=(0.64, 0.33), green=(0.30, 0.60), blue=(0.15, 0.06))
SRGB_CURVE = Curve(gamma=2.4, a=1 / 1.055, b=0.055 / 1.055, c=1 / 12.92, d=0.04045)
SRGB = Space(primaries=BT709, curves=(SRGB_CURVE,) * 3)
ADOBE_RGB = Space(
    primaries=Primaries(white=_D65, red=(0.64, 0.33), green=(0.21, 0.71), blue=(0.15, 0.06)),
    curves=(Curve(gamma=563 / 256),) * 3,
    name="compatible with Adobe RGB (1998)",
)
ROMM_RGB = Space(
    primaries=Primaries(
        white=(0.3457, 0.3585), red=(0.7347, 0.2653), green=(0.1596, 0.8404), blue=(0.0366, 0.0001)
    ),
    curves=(Curve(gamma=1.8, c=1 / 16, d=1 / 32),) * 3,
    name="ROMM RGB",
)

_PRIMARIES = {
    1: BT709,
    4: Primaries(white=_C, red=(0.67, 0.33), green=(0.21, 0.71), blue=(0.14, 0.08)),
    5: Primaries(white=_D65, red=(0.64, 0.33), green=(0.29, 0.60), blue=(0.15, 0.06)),
    6: Primaries(white=_D65, red=(0.63, 0.34), green=(0.31, 0.595), blue=(0.155, 0.07)),
    7: Primaries(white=_D65, red=(0.63, 0.34), green=(0.31, 0.595), blue=(0.155, 0.07)),
    8: Primaries(white=_C, red=(0.681, 0.319), green=(0.243, 0.692), blue=(0.145, 0.049)),
    9: Primaries(white=_D65, red=(0.708, 0.292), green=(0.17, 0.797), blue=(0.131, 0.046)),
    10: Primaries(white=_E, red=(1.0, 0.0), green=(0.0, 1.0), blue=(0.0, 0.0)),
    11: Primaries(white=_DCI, red=(0.68, 0.32), green=(0.265, 0.69), blue=(0.15, 0.06)),
    12: Primaries(white=_D65, red=(0.68, 0.32), green=(0.265, 0.69), blue=(0.15, 0.06)),
    22: Primaries(white=_D65, red=(0.63, 0.34), green=(0.295, 0.605), blue=(0.155, 0.077)),
}
"""By their codes in H.273."""

_VIDEO = Curve(gamma=1 / 0.45, a=1 / 1.099, b=0.099 / 1.099, c=1 / 4.5, d=0.081)
_TABLE = 4096
_PQ, _HLG = 16, 18
_WHITE_NITS, _PEAK_NITS = 203.0, 10_000.0
"""Of what is as bright as paper in PQ and HLG, and of the brightest that PQ knows."""

_HLG_WHITE, _HLG_GAMMA = 0.75, 1.2
"""The sample that is as bright as paper, and how screens show what cameras saw."""

_UNSPECIFIED = 2
_BRIGHTER = "{} colours: what is brighter than paper white is clipped where they are shown or converted as sRGB"


def _table(light: Callable[[Floats], Floats]) -> Curve:
    return Curve(table=tuple(light(np.linspace(0, 1, _TABLE)).clip(0, 1).tolist()))


def _pq(x: Floats) -> Floats:
    root = x ** (32 / 2523)
    ratio = (root - 3424 / 4096).clip(0) / (2413 / 128 - 2392 / 128 * root)
    return np.asarray(ratio ** (8192 / 1305) * _PEAK_NITS / _WHITE_NITS)


def _hlg(x: Floats) -> Floats:
    def scene(sample: Floats) -> Floats:
        bright = (np.exp((sample - 0.55991073) / 0.17883277) + 0.28466892) / 12
        return np.where(sample <= 0.5, sample**2 / 3, bright)

    return np.asarray((scene(x) / scene(np.array(_HLG_WHITE))) ** _HLG_GAMMA)


def _smpte240(x: Floats) -> Floats:
    return np.where(x < 0.0913, x / 4, ((x + 0.1115) / 1.1115) ** (1 / 0.45))


def _curve_of(code: int) -> Curve | None:
    """By its code in H.273."""
    if code in (1, 6, 11, 12, 14, 15):
        return _VIDEO
    simple = {
        4: Curve(gamma=2.2),
        5: Curve(gamma=2.8),
        8: Curve(),
        13: SRGB_CURVE,
        17: Curve(gamma=2.6, a=(52.37 / 48) ** (1 / 2.6)),
    }
    if code in simple:
        return simple[code]
    tables = {7: _smpte240, _PQ: _pq, _HLG: _hlg}
    return _table(tables[code]) if code in tables else None


def space_of_codes(primaries: int, transfer: int) -> Space | None:
    """The space that two codes of ITU-T H.273 stand for; None where they say nothing, which is taken for sRGB.

    What is not said of one of them is that of sRGB. Codes that are not known become a note.
    """
    if primaries == transfer == _UNSPECIFIED:
        return None
    points = BT709 if primaries == _UNSPECIFIED else _PRIMARIES.get(primaries)
    curve = SRGB_CURVE if transfer == _UNSPECIFIED else _curve_of(transfer)
    if points is None or curve is None:
        told = f"its colours have the codes {primaries} and {transfer}, which are not known: taken for sRGB"
        return Space(primaries=BT709, curves=SRGB.curves, codes=None, note=told)
    names = {_PQ: "PQ (HDR)", _HLG: "HLG (HDR)"}
    note = _BRIGHTER.format(names[transfer]) if transfer in names else None
    return Space(
        primaries=points,
        curves=(curve,) * 3,
        codes=(primaries, transfer),
        note=note,
        name=f"RGB of H.273 {primaries}/{transfer}",
    )
