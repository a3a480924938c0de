"""EXIF: what the TIFF structure in an image file says of a picture, read, mended and written byte by byte.

Values are kept as the bytes they are, in their order, so that what is not known here comes through as well.
"""

from __future__ import annotations

from arm_batch.metadata.exif.lasting import (
    ORIENTATION,
    WANTED_OF_TIFF,
    as_srgb,
    dpi_of,
    enlarged,
    for_tiff,
    lasting,
    orientation_of,
    plausible_dpi,
    turned,
    with_dpi,
    with_orientation,
    with_tags_of,
    without_note,
)
from arm_batch.metadata.exif.reading import PREFIX, ExifError, parse_block, parse_tiff
from arm_batch.metadata.exif.tags import Entry, Exif, Tags
from arm_batch.metadata.exif.writing import serialise

__all__ = [
    "ORIENTATION",
    "PREFIX",
    "WANTED_OF_TIFF",
    "Entry",
    "Exif",
    "ExifError",
    "Tags",
    "as_srgb",
    "dpi_of",
    "enlarged",
    "for_tiff",
    "lasting",
    "orientation_of",
    "parse_block",
    "parse_tiff",
    "plausible_dpi",
    "serialise",
    "turned",
    "with_dpi",
    "with_orientation",
    "with_tags_of",
    "without_note",
]
