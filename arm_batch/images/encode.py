"""Pictures to image files, by libvips; the same picture gives the same bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from arm_batch.core.arrays import Pixels
from arm_batch.errors import ImageError
from arm_batch.images.colour import Model, to_srgb
from arm_batch.images.embed import Embedded, with_embedded, with_placeholder
from arm_batch.images.formats import choose_format
from arm_batch.images.picture import Picture
from arm_batch.images.reasons import writing_failed
from arm_batch.images.tiff_tags import extra_samples, with_tags
from arm_batch.images.vips import Vips, from_array, set_blob
from arm_batch.metadata import Metadata, exif_for
from arm_batch.metadata.exif import for_tiff, parse_block, serialise, without_note
from arm_batch.metadata.texts import fitting, note_of_lost

_MM_PER_INCH = 25.4

_FIELDS = {"icc": "icc-profile-data", "xmp": "xmp-data"}
"""Where libvips holds what it calls so otherwise."""

_UNKNOWN_DPI = (72.0, 72.0)
"""What libvips is told where nothing is known; `embed` and `add_tags` take it back."""

_BIG_TIFF = 3 * 2**30
"""Bytes of samples from which a TIFF file might pass the 4 GiB that ordinary offsets reach."""

_SEGMENT = 65_500
"""Bytes that a segment of JPEG can hold."""

SAVERS = {"png": "pngsave", "jpeg": "jpegsave", "webp": "webpsave", "tiff": "tiffsave", "avif": "heifsave"}
"""What libvips calls the saver of each format."""


def save_options(format: str, quality: int) -> dict[str, Any]:
    """What the saver of a format is told. Measured: see "Encoding" in docs/benchmarks.md."""
    options: dict[str, dict[str, Any]] = {
        "png": {"compression": 2, "filter": "avg"},
        # From quality 90 on with colours at full resolution, for 2.5 dB.
        "jpeg": {"Q": quality, "subsample_mode": "auto"},
        "webp": {"Q": quality, "effort": 0},
        "tiff": {"compression": "deflate", "level": 2, "predictor": "horizontal"},
        "avif": {"compression": "av1", "Q": quality, "effort": 0, "subsample_mode": "auto"},
    }
    return options[format]


def encode(picture: Picture, format: str, quality: int = 95) -> bytes:
    """Write a picture as a file, with its metadata as far as the format holds it (see `fit_metadata`).

    Args:
        picture: what to write.
        format: a key of `FORMATS`.
        quality: 1..100, for formats that lose something.

    Raises:
        ImageError: the format cannot hold it.
    """
    height, width = picture.pixels.shape[:2]
    chosen, _ = choose_format(
        format, picture.format, height, width, picture.pixels.dtype, picture.has_alpha, picture.planes.shape[2]
    )
    if chosen != format:
        raise ImageError(f"cannot be written as {format}")
    metadata = picture.metadata
    model: Model = "grey" if picture.pixels.shape[2] == 1 else "rgb"
    image, keep = with_metadata(from_array(_all_bands(picture), model), metadata)
    exif = exif_for(metadata, format)
    if format == "avif" and exif.tags:
        image, keep = with_placeholder(image, keep)
    options = save_options(format, quality)
    if format == "tiff":
        options["bigtiff"] = picture.pixels.nbytes + picture.planes.nbytes > _BIG_TIFF
    try:
        data = bytes(getattr(image, f"{SAVERS[format]}_buffer")(**options, keep=keep))
        if format == "tiff":
            return with_tags(data, exif, extra_samples(picture.has_alpha, picture.planes.shape[2]))
        return with_embedded(
            data, format, Embedded(serialise(exif), metadata.dpi, fitting(metadata.texts, format))
        )
    except Exception as error:
        raise ImageError(writing_failed(error, format)) from error


def with_metadata(image: Vips, metadata: Metadata) -> tuple[Vips, str]:
    """The image with all but EXIF, and which of it is to be kept, as libvips' savers want to be told."""
    across, down = metadata.dpi or _UNKNOWN_DPI
    image = image.copy(xres=across / _MM_PER_INCH, yres=down / _MM_PER_INCH)
    blobs = {"icc": metadata.icc, "xmp": metadata.xmp}
    for name, blob in blobs.items():
        set_blob(image, _FIELDS[name], blob)
    # libvips makes up what it is not told to leave out.
    return image, ":".join(name for name, blob in blobs.items() if blob is not None) or "none"


def fit_metadata(picture: Picture, format: str) -> Picture:
    """The picture with only what this format can hold beside the pixels; notes say what could not be kept."""
    metadata, notes = picture.metadata, list[str]()
    pixels, icc = picture.pixels, metadata.icc
    if format in ("webp", "avif") and icc is not None and pixels.shape[2] == 1:
        # They know no grey, and a profile for grey would say nonsense about RGB.
        pixels, _ = to_srgb(np.ascontiguousarray(pixels), "grey", icc, notes)
        icc = None
        notes.append(f"its grey was converted to sRGB, as {format} holds no grey")
    exif, xmp = _fit_exif(metadata, format, notes), metadata.xmp
    if format == "jpeg" and xmp is not None and len(xmp) > _SEGMENT:
        xmp = None
        notes.append(f"its XMP of {len(metadata.xmp or b''):,} bytes is dropped: {format} takes {_SEGMENT:,}")
    geo = metadata.geo
    if format != "tiff" and geo is not None:
        geo = None
        notes.append(f"its georeference is left out: {format} holds none")
    if (lost := note_of_lost(metadata.texts, format)) is not None:
        notes.append(lost)
    texts = fitting(metadata.texts, format)
    fitted = replace(metadata, icc=icc, exif=exif, xmp=xmp, geo=geo, texts=texts)
    return replace(picture, pixels=pixels, metadata=fitted, notes=(*picture.notes, *notes))


def _fit_exif(metadata: Metadata, format: str, notes: list[str]) -> bytes | None:
    if format == "tiff":
        # It is for the writer to leave out what it tells of here.
        for_tiff(parse_block(metadata.exif or b""), notes)
        return metadata.exif
    block = metadata.exif
    if format == "jpeg" and block is not None and len(block) > _SEGMENT:
        shorter = serialise(without_note(parse_block(block)))
        if len(shorter) <= _SEGMENT:
            notes.append(f"its maker notes are left out: with them EXIF has more than {_SEGMENT:,} bytes")
            return shorter or None
        notes.append(f"its EXIF of {len(block):,} bytes is dropped: {format} takes {_SEGMENT:,}")
        return None
    return block


def _all_bands(picture: Picture) -> Pixels:
    if picture.planes.shape[2]:
        return np.concatenate([picture.pixels, picture.planes], axis=2)
    return np.ascontiguousarray(picture.pixels)
