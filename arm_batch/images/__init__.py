"""Image files to pictures and back."""

from __future__ import annotations

from arm_batch.images.decode import decode
from arm_batch.images.encode import encode, fit_metadata
from arm_batch.images.formats import FORMATS, choose_format
from arm_batch.images.picture import Picture

__all__ = [
    "FORMATS",
    "Picture",
    "choose_format",
    "decode",
    "encode",
    "fit_metadata",
]
