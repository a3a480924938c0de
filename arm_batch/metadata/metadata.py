"""What belongs to a picture beside its pixels, on the way from one file to another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from arm_batch.metadata.exif import (
    Exif,
    dpi_of,
    enlarged,
    for_tiff,
    parse_block,
    serialise,
    with_dpi,
    with_orientation,
    with_tags_of,
)
from arm_batch.metadata.geotiff import enlarged_geo
from arm_batch.metadata.texts import Text
from arm_batch.metadata.xmp import enlarged_xmp

_TOLD_IN_EXIF = ("tiff", "webp", "avif")
"""Formats, of the resolution."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What belongs to an image beside its pixels.

    Attributes:
        icc: profile of the colours; ``None`` stands for sRGB.
        exif: a block as JPEG holds it, from ``Exif`` on; upright, without sizes and thumbnails.
        xmp: a packet, likewise.
        dpi: pixels per inch across and down, ``None`` where not told.
        geo: where on earth it lies, as tags of TIFF; None where not told.
        texts: of PNG, and comments of JPEG.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    geo: Exif | None = None
    texts: tuple[Text, ...] = ()

    def stripped(self) -> Metadata:
        """The profile, and where it lies: neither is about who took it, or with what."""
        return Metadata(icc=self.icc, geo=self.geo)


def is_big(data: bytes) -> bool:
    """Whether a TIFF file is BigTIFF."""
    return data[2:4] in (b"\x2b\0", b"\0\x2b")


def enlarge_metadata(metadata: Metadata, scale: int, width: int, height: int) -> Metadata:
    """For a picture that was enlarged: what counts pixels counts those of the output.

    Args:
        metadata: of the picture; the rest is as of `exif.enlarged`.
    """
    exif, xmp = metadata.exif, metadata.xmp
    return replace(
        metadata,
        geo=None if metadata.geo is None else enlarged_geo(metadata.geo, scale),
        exif=None if exif is None else serialise(enlarged(parse_block(exif), scale, width, height)) or None,
        xmp=None if xmp is None else enlarged_xmp(xmp, scale),
    )


def exif_for(metadata: Metadata, format: str, orientation: int = 1) -> Exif:
    """EXIF as a file of a format is to hold it, with the resolution where the format tells that nowhere else.

    Args:
        metadata: of the picture.
        format: a key of `FORMATS`.
        orientation: that viewers are to turn it by.
    """
    exif = parse_block(metadata.exif or b"")
    if format in _TOLD_IN_EXIF and metadata.dpi is not None and dpi_of(exif) is None:
        across, down = (Fraction(value).limit_denominator(1000).as_integer_ratio() for value in metadata.dpi)
        exif = with_dpi(exif, across, down)
    if format == "tiff":
        exif = with_tags_of(for_tiff(exif, []), metadata.geo)
    return exif if orientation == 1 else with_orientation(exif, orientation)
