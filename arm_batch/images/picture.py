"""What an image file holds, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from arm_batch.core.arrays import Pixels
from arm_batch.metadata import Metadata


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
    metadata: Metadata = field(default_factory=Metadata)
    format: str = "png"
    notes: tuple[str, ...] = ()

    @staticmethod
    def plain(pixels: Pixels) -> Picture:
        """Pixels and nothing else."""
        return Picture(pixels=pixels, planes=np.empty((*pixels.shape[:2], 0), pixels.dtype))
