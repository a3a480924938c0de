"""What an image file holds, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arm_batch.core.arrays import Pixels
from arm_batch.images.exif import Exif
from arm_batch.images.texts import Text


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


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One image.

    Attributes:
        pixels: uint8 or uint16 ``(h, w, c)``, c = 1 (grey) or 3 (RGB), contiguous; not premultiplied by alpha.
        planes: ``(h, w, k)`` of the same dtype, k >= 0: alpha and whatever bands there are beyond the colours.
        has_alpha: whether ``planes[..., 0]`` is alpha.
        metadata: beside the pixels.
        format: of the file it was read from: a key of `formats.FAMILY`; ``png`` for what never was a file.
        notes: what a user should know of how it was read, one line each.
    """

    pixels: Pixels
    planes: Pixels
    has_alpha: bool = False
    metadata: Metadata = Metadata()
    format: str = "png"
    notes: tuple[str, ...] = ()

    @staticmethod
    def plain(pixels: Pixels) -> Picture:
        """Pixels and nothing else."""
        return Picture(pixels=pixels, planes=np.empty((*pixels.shape[:2], 0), pixels.dtype))
