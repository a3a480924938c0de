"""What files say of their colours in other ways than by a profile."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

from arm_batch.metadata.av1 import colour_codes
from arm_batch.metadata.boxes import find_box, list_boxes, primary_item, primary_properties
from arm_batch.metadata.exif import Exif
from arm_batch.metadata.exif.tags import DETAILS, INTEROP
from arm_batch.metadata.spaces import (
    ADOBE_RGB,
    BT709,
    ROMM_RGB,
    SRGB_CURVE,
    Curve,
    Point,
    Primaries,
    Space,
    space_of_codes,
)

_PNG_UNIT = 100_000

_TRANSFER, _WHITE, _PRIMARIES = 0x012D, 0x013E, 0x013F
_COLOUR_SPACE, _GAMMA, _AGREED = (DETAILS, 0xA001), (DETAILS, 0xA500), (DETAILS, INTEROP, 0x0001)
_UNCALIBRATED, _ADOBE = 0xFFFF, 2
_OPTION = b"R03"
_MOST_LEVELS = 4096

_BMP_SPACE, _BMP_ENDS, _BMP_PROFILE = 70, 74, 126
_CALIBRATED, _LINKED, _EMBEDDED = 0, b"KNIL", b"DEBM"

_JP2_ROMM, _JP2_UNREAD = (
    21,
    {14: "CIELab", 20: "e-sRGB", 24: "e-sYCC", 13: "YCbCr", 1: "YCbCr", 3: "YCbCr", 4: "YCbCr"},
)

Described = tuple[bytes | None, Space | None, tuple[str, ...]]
"""A profile, or a space, and notes."""


def space_of_png(chunks: Mapping[bytes, bytes]) -> Space | None:
    """What the chunks but for a profile say; the one by codes goes before all, also before a profile.

    Args:
        chunks: by their kinds.
    """
    codes = chunks.get(b"cICP", b"")
    if len(codes) >= 4:
        return space_of_codes(codes[0], codes[1])
    if b"sRGB" in chunks or b"iCCP" in chunks:
        return None
    gamma, points = chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b"")
    if not gamma and not points:
        return None
    curve, primaries = SRGB_CURVE, BT709
    if len(gamma) == 4 and (value := int.from_bytes(gamma, "big")):
        exponent = _PNG_UNIT / value
        # Whoever rounds the curve of sRGB to an exponent means that curve.
        curve = SRGB_CURVE if abs(exponent - 2.2) < 0.03 else Curve(gamma=exponent)
    if len(points) == 32:
        values = [value / _PNG_UNIT for value in struct.unpack(">8I", points)]
        white, red, green, blue = zip(values[::2], values[1::2], strict=True)
        primaries = Primaries(white=white, red=red, green=green, blue=blue)
    return Space(primaries=primaries, curves=(curve,) * 3)


def space_of_heif(data: bytes) -> Space | None:
    """What the codes of an AVIF or HEIF file say: of its container, else of the picture in AVIF, else none."""
    properties = primary_properties(data)
    for box in properties:
        if box.kind == b"colr" and data[box.start : box.start + 4] == b"nclx" and box.stop - box.start >= 8:
            return space_of_codes(*struct.unpack_from(">HH", data, box.start + 4))
    is_av1 = any(box.kind == b"av1C" for box in properties)
    codes = colour_codes(primary_item(data)) if is_av1 else None
    return None if codes is None else space_of_codes(*codes)


def described_by_jp2(data: bytes) -> Described:
    """What the header of a JPEG 2000 file says, of which Pillow reads no profile."""
    header = find_box(data, b"jp2h")
    boxes = [] if header is None else [b for b in list_boxes(data, header.start, header.stop) if b.kind == b"colr"]
    for box in boxes:
        method = data[box.start] if box.stop > box.start + 3 else 0
        if method in (2, 3):
            return data[box.start + 3 : box.stop], None, ()
        if method == 1 and box.stop >= box.start + 7:
            (code,) = struct.unpack_from(">I", data, box.start + 3)
            if code in _JP2_UNREAD:
                return (
                    None,
                    None,
                    (f"its colours are {_JP2_UNREAD[code]}, which is not read: taken for sRGB",),
                )
            return None, ROMM_RGB if code == _JP2_ROMM else None, ()
    return None, None, ()


def described_by_bmp(data: bytes) -> Described:
    """What the header of a BMP file of version 4 or 5 says."""
    (size,) = struct.unpack_from("<I", data.ljust(18, b"\0"), 14)
    if size < 108 or len(data) < 14 + size:
        return None, None, ()
    kind = data[_BMP_SPACE : _BMP_SPACE + 4]
    if size >= 124 and kind in (_LINKED, _EMBEDDED):
        start, length = struct.unpack_from("<II", data, _BMP_PROFILE)
        if kind == _LINKED:
            return None, None, ("its colour profile is in another file and is left out",)
        return data[14 + start : 14 + start + length], None, ()
    if int.from_bytes(kind, "little") != _CALIBRATED:
        return None, None, ()
    ends = [value / 2**30 for value in struct.unpack_from("<9i", data, _BMP_ENDS)]
    gammas = [value / 65536 for value in struct.unpack_from("<3I", data, _BMP_ENDS + 36)]
    return None, _space_of_ends([ends[0:3], ends[3:6], ends[6:9]], gammas), ()


def _space_of_ends(ends: Sequence[Sequence[float]], gammas: Sequence[float]) -> Space | None:
    """By XYZ of red, green and blue, the sum of which is white; or by chromaticities, white then being D65."""
    sums = [sum(end) for end in ends]
    if min(sums) <= 0 or min(gammas) <= 0:
        return None
    red, green, blue = ((end[0] / total, end[1] / total) for end, total in zip(ends, sums, strict=True))
    white: Point = BT709.white
    if max(abs(total - 1) for total in sums) > 0.01:
        white = sum(end[0] for end in ends) / sum(sums), sum(end[1] for end in ends) / sum(sums)
    curves = [SRGB_CURVE if abs(gamma - 2.2) < 0.03 else Curve(gamma=gamma) for gamma in gammas]
    return Space(
        primaries=Primaries(white=white, red=red, green=green, blue=blue), curves=(curves[0], curves[1], curves[2])
    )


def space_of_tiff(exif: Exif) -> Space | None:
    """What the tags of a TIFF file say: primaries, white and a table for each colour."""
    white, points, levels = exif.floats(_WHITE), exif.floats(_PRIMARIES), exif.floats(_TRANSFER)
    if not (white or points or levels):
        return None
    curves = [SRGB_CURVE] * 3
    if len(levels) >= 256:
        # One table for all, or one for each colour.
        count = len(levels) // 3 if len(levels) % 3 == 0 else len(levels)
        tables = [levels[start : start + count] for start in range(0, len(levels), count)]
        curves = [_curve_of(table) for table in (tables * 3)[:3]]
    return Space(primaries=_primaries(white, points), curves=(curves[0], curves[1], curves[2]))


def space_of_camera(exif: Exif) -> Space | None:
    """What EXIF says of files of cameras: Adobe RGB, as cameras have agreed, or primaries and a gamma."""
    agreed, space = exif.entry(*_AGREED), exif.floats(*_COLOUR_SPACE)
    if space and int(space[0]) == _ADOBE:
        return ADOBE_RGB
    if not space or int(space[0]) != _UNCALIBRATED:
        return None
    if agreed is not None and agreed.data[:3] == _OPTION:
        return ADOBE_RGB
    white, points, gamma = exif.floats(_WHITE), exif.floats(_PRIMARIES), exif.floats(*_GAMMA)
    if not points and not gamma:
        return None
    curve = Curve(gamma=gamma[0]) if gamma and 0.1 < gamma[0] < 10 else SRGB_CURVE
    return Space(primaries=_primaries(white, points), curves=(curve,) * 3)


def _primaries(white: Sequence[float], points: Sequence[float]) -> Primaries:
    """With those of sRGB for what is not said."""
    centre = (white[0], white[1]) if len(white) == 2 else BT709.white
    if len(points) != 6:
        return Primaries(white=centre, red=BT709.red, green=BT709.green, blue=BT709.blue)
    red, green, blue = zip(points[::2], points[1::2], strict=True)
    return Primaries(white=centre, red=red, green=green, blue=blue)


def _curve_of(levels: Sequence[float]) -> Curve:
    step = max(1, (len(levels) - 1) // (_MOST_LEVELS - 1))
    last = len(levels) - 1
    chosen = [levels[min(last, place)] for place in range(0, last + step, step)]
    return Curve(table=tuple(level / 65535 for level in chosen))


Describe = Callable[[bytes], Described]

BY_FORMAT: dict[str, Describe] = {
    "avif": lambda data: (None, space_of_heif(data), ()),
    "heif": lambda data: (None, space_of_heif(data), ()),
    "jp2": described_by_jp2,
    "jp2-lossless": described_by_jp2,
    "bmp": described_by_bmp,
}
"""Of formats that Pillow reads: how they say it."""
