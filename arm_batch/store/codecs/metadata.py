"""What of EXIF and XMP still holds after upscaling."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, BinaryIO

from PIL import Image

_KEPT = frozenset(
    {
        *(0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298),  # what, with what, when, by whom
        *(0x4746, 0x4749, *range(0x9C9B, 0x9CA0)),  # ratings, and what Windows has users write
    }
)
"""Of the main directory. The rest tells how the samples of this very file are stored."""

_DIRECTORIES = (0x8769, 0x8825)
"""EXIF proper, and the place."""

_WIDTH, _HEIGHT = 0xA002, 0xA003
_ORIENTATION = 0x0112
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
_INCHES_PER_UNIT = {2: 1.0, 3: 2.54}

_XMP_SIZES = re.compile(
    rb"\s(?:tiff:(?:Orientation|ImageWidth|ImageLength)|exif:Pixel[XY]Dimension)\s*=\s*(?:\"[^\"]*\"|'[^']*')"
    rb"|<(tiff:(?:Orientation|ImageWidth|ImageLength)|exif:Pixel[XY]Dimension)>[^<]*</\1>"
    rb"|<(xmp:Thumbnails|xap:Thumbnails)\b.*?</\2>",
    re.DOTALL,
)


def read_exif(block: bytes) -> Image.Exif:
    """Parse a block, with or without ``Exif`` in front; an empty one for what is none."""
    exif = Image.Exif()
    exif.load(block)
    return exif


def exif_of_tiff(stream: BinaryIO, offset: int) -> Image.Exif:
    """The tags of the directory at `offset` of a TIFF file, as EXIF."""
    stream.seek(0)
    header = stream.read(8)
    exif = Image.Exif()
    exif.endian = "<" if header[:1] == b"I" else ">"
    exif.bigtiff = is_big(header)
    exif.load_from_fp(stream, offset)
    return exif


def exif_of_tags(tags: Mapping[int, Any]) -> Image.Exif:
    """The tags of a main directory as EXIF, without the directories that they point to."""
    exif = Image.Exif()
    for tag, value in tags.items():
        if tag not in _DIRECTORIES:
            exif[tag] = value
    return exif


def is_big(data: bytes) -> bool:
    """Whether a TIFF file is BigTIFF."""
    return data[2:4] in (b"\x2b\0", b"\0\x2b")


def orientation_of(exif: Image.Exif) -> int:
    """1..8; 1, upright, for what makes no sense."""
    value = exif.get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def dpi_of(exif: Image.Exif) -> tuple[float, float] | None:
    """Pixels per inch across and down, ``None`` where not told."""
    inches = _INCHES_PER_UNIT.get(exif.get(_RESOLUTION_UNIT, 2))
    across, down = exif.get(_X_RESOLUTION), exif.get(_Y_RESOLUTION)
    if inches is None or across is None or down is None:
        return None
    return plausible_dpi(float(across) * inches, float(down) * inches)


def plausible_dpi(across: float, down: float) -> tuple[float, float] | None:
    """The two as they are, or ``None`` where they say nothing."""
    return (across, down) if 1 < across < 1e5 and 1 < down < 1e5 else None


def lasting_exif(exif: Image.Exif) -> bytes | None:
    """The tags that hold for the upscaled image too, as a block; ``None`` where there are none.

    Orientation, sizes and resolution go: the encoder writes those of the file that it makes.
    """
    kept = Image.Exif()
    for tag, value in lasting_tags(exif).items():
        kept[tag] = value
    return kept.tobytes() if len(kept) else None


def lasting_tags(exif: Image.Exif) -> dict[int, Any]:
    """The same as values by tag, with a directory of its own for EXIF proper and for the place."""
    tags = {tag: exif[tag] for tag in sorted(_KEPT & set(exif))}
    for directory in _DIRECTORIES:
        entries = {tag: value for tag, value in exif.get_ifd(directory).items() if tag not in (_WIDTH, _HEIGHT)}
        if entries:
            tags[directory] = entries
    return tags


def lasting_xmp(packet: bytes) -> bytes:
    """The packet without orientation, sizes and thumbnails."""
    return _XMP_SIZES.sub(b"", packet)
