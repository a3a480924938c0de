"""Image files to pictures and back."""

from __future__ import annotations

from arm_batch.images.decode import decode
from arm_batch.images.encode import encode, fit_metadata
from arm_batch.images.formats import FORMATS, choose_format
from arm_batch.images.metadata import enlarge_metadata
from arm_batch.images.picture import Metadata, Picture

__all__ = [
    "FORMATS",
    "Metadata",
    "Picture",
    "choose_format",
    "decode",
    "encode",
    "enlarge_metadata",
    "fit_metadata",
]
