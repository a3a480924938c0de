"""Reading with Pillow: formats of 8 bits, and whatever has frames to be composed."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any, TypedDict

import numpy as np
from PIL import Image

from arm_batch.core.image_options import Reading
from arm_batch.images.colour import Model
from arm_batch.images.samples import Samples, check_size, choose_frame
from arm_batch.metadata.exif import Exif, parse_block, plausible_dpi

# The limit is `Reading.max_pixels`, checked between the header and the pixels; Pillow's own would be in its way.
Image.MAX_IMAGE_PIXELS = None

PILLOW_NAMES = {
    "png": ("PNG",),
    "jpeg": ("JPEG",),
    "webp": ("WEBP",),
    "webp-lossless": ("WEBP",),
    "bmp": ("BMP",),
    "gif": ("GIF",),
    "avif": ("AVIF",),
    "heif": ("HEIF",),
    "jp2": ("JPEG2000",),
    "jp2-lossless": ("JPEG2000",),
}
"""Pillow's other readers stay unused: some start other programs."""

_MODELS: dict[str, tuple[str, Model, bool]] = {
    "1": ("L", "grey", False),
    "L": ("L", "grey", False),
    "LA": ("LA", "grey", True),
    "La": ("LA", "grey", True),
    "RGB": ("RGB", "rgb", False),
    "RGBA": ("RGBA", "rgb", True),
    "RGBa": ("RGBA", "rgb", True),
    "PA": ("RGBA", "rgb", True),
    "P": ("RGB", "rgb", False),
    "CMYK": ("CMYK", "cmyk", False),
    "I;16": ("I;16", "grey", False),
}
"""Mode to convert to, what its colours are, and whether it has alpha; for the rest RGB will do."""


_COMMENT_LOST = "its comment is left out"


def read_pillow(data: bytes, reading: Reading, format: str) -> Samples:
    """Samples of a file.

    Args:
        data: the whole file.
        reading: how.
        format: of it.

    Raises:
        Whatever Pillow trips over in a broken file.
    """
    with Image.open(io.BytesIO(data), formats=PILLOW_NAMES[format]) as image:
        check_size(*image.size, reading)
        index, notes = choose_frame(getattr(image, "n_frames", 1), reading)
        for number in range(1, index + 1):
            image.seek(number)
            # A later frame of GIF may be larger than the first; the one after it is composed on top of it.
            check_size(*image.size, reading)
        image.load()
        mode, model, has_alpha = _MODELS.get(image.mode, ("RGB", "rgb", False))
        if "transparency" in image.info and not has_alpha:
            mode, has_alpha = ("LA" if model == "grey" else "RGBA"), True
        bands = np.array(image if image.mode == mode else image.convert(mode))
        return Samples(
            bands=bands.reshape(*bands.shape[:2], -1),
            model=model,
            has_alpha=has_alpha,
            format=format,
            notes=(*notes, _COMMENT_LOST) if format == "gif" and image.info.get("comment") else notes,
            **embedded_metadata(image.info),
        )


class BesidePixels(TypedDict):
    """Fields of `Samples`."""

    icc: bytes | None
    exif: Callable[[], Exif]
    xmp: bytes | None
    dpi: tuple[float, float] | None


def embedded_metadata(info: dict[Any, Any]) -> BesidePixels:
    """What Pillow has found beside the pixels: ``Image.info``."""
    return BesidePixels(
        icc=info.get("icc_profile") or None,
        exif=partial(parse_block, info.get("exif") or b""),
        xmp=_xmp(info.get("xmp")),
        dpi=_dpi(info),
    )


def _xmp(packet: bytes | str | None) -> bytes | None:
    return packet.encode() if isinstance(packet, str) else packet or None


def _dpi(info: dict[Any, Any]) -> tuple[float, float] | None:
    # Of JPEG Pillow makes up 72 where nothing is said.
    dpi = info.get("dpi")
    if not isinstance(dpi, tuple) or ("jfif" in info and not info.get("jfif_unit")):
        return None
    return plausible_dpi(float(dpi[0]), float(dpi[1]))
