"""Image files to pixels and back."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from arm_batch.core.tiles import Pixels
from arm_batch.errors import ImageError
from arm_batch.store.quiet import no_warnings

MAX_PIXELS = 2**28
"""Of one image, in or out: 16384 x 16384. More is taken for a decompression bomb."""

# Pillow's own limit, on which it warns and at twice which it refuses; ours is the same as its refusal.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2

_READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
"""Pillow's other readers stay unused: some start other programs."""

_ORIENTATION = 274
_BITS_PER_SAMPLE = 258


@dataclass(frozen=True)
class Format:
    """A format that can be written.

    Attributes:
        extension: of its files, with the dot.
        sixteen_bit: whether it holds 16 bits per channel.
        max_side: px.
        parameters: for OpenCV's encoder.
        quality_parameter: OpenCV's name for the quality, None where nothing is lost.
        bytes_per_pixel: of upscaled photographs of 8 bits, measured on Set14 at x4, budget 30 %, quality 95.
    """

    extension: str
    sixteen_bit: bool
    max_side: int
    parameters: tuple[int, ...]
    quality_parameter: int | None
    bytes_per_pixel: float


# PNG, measured on outputs of a net, one core: level 1, average filter and run lengths 32 Mpx/s and 33.8 MB; with
# the default strategy 30 and 36.0; with Huffman codes alone 37 and 36.3; OpenCV's defaults 28 and 38.4.
FORMATS: dict[str, Format] = {
    "png": Format(
        ".png",
        True,
        1_000_000,
        (
            *(cv2.IMWRITE_PNG_COMPRESSION, 1),
            *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
            *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG),
        ),
        None,
        1.28,
    ),
    "jpeg": Format(".jpg", False, 65_500, (), cv2.IMWRITE_JPEG_QUALITY, 0.27),
    "webp": Format(".webp", False, 16_383, (), cv2.IMWRITE_WEBP_QUALITY, 0.18),
}
"""By the name that JobSpec uses."""


def decode(data: bytes) -> Pixels:
    """Pixels of a JPEG, PNG, WebP, TIFF or BMP file, turned upright by its EXIF orientation.

    Palettes become RGB; black and white, grey; CMYK and its kin, RGB; opaque alpha is dropped. Of a JPEG that
    carries further pictures (MPO: previews, depth) the first is taken. Colour profiles are not applied.

    Args:
        data: the whole file.

    Returns:
        uint8 or uint16 ``(h, w, c)``, contiguous and writable, c = 1 (grey) or 3 (RGB).

    Raises:
        ImageError: with a short reason; for damage of any kind, transparency, several frames, floating point or
            32-bit samples, and more than `MAX_PIXELS`.
    """
    if not data:
        raise ImageError("empty file")
    try:
        # Pillow warns of odd metadata and of sizes near its limit, which says nothing about the pixels.
        with no_warnings(), Image.open(io.BytesIO(data), formats=_READABLE) as image:
            _check_header(image)
            if _bits(image, data) == 16:
                return _decode_16(image, data)
            return _decode_8(image)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError("not an image in a known format") from None
    except Image.DecompressionBombError:
        raise ImageError(f"more than {MAX_PIXELS:,} pixels") from None
    except MemoryError:
        raise ImageError("not enough memory to decode it") from None
    except Exception as error:
        # Pillow's readers let through whatever a broken file makes them trip over (KeyError, IndexError,
        # TypeError, zlib.error, AssertionError ...), and one file must not end a job.
        raise _damaged(error) from error


def encode(pixels: Pixels, format: str, quality: int = 95) -> bytes:
    """Write pixels as a file; the same pixels give the same bytes.

    Args:
        pixels: uint8 or uint16 ``(h, w, c)``, c = 1 (grey) or 3 (RGB).
        format: a key of `FORMATS`.
        quality: 1..100, for formats that lose something.

    Raises:
        ImageError: the format cannot hold such pixels.
    """
    check_encodable(pixels.shape[0], pixels.shape[1], pixels.dtype, format)
    chosen = FORMATS[format]
    parameters = list(chosen.parameters)
    if chosen.quality_parameter is not None:
        parameters += [chosen.quality_parameter, quality]
    image = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.shape[2] == 3 else pixels[..., 0]
    try:
        done, encoded = cv2.imencode(chosen.extension, image, parameters)
    except cv2.error as error:
        raise ImageError(f"cannot be written as {format}: {_one_line(error)}") from error
    if not done:
        raise ImageError(f"cannot be written as {format}")
    return encoded.tobytes()


def check_encodable(height: int, width: int, dtype: np.dtype[Any], format: str) -> None:
    """Refuse, before any work is done, an image that a format cannot hold.

    Args:
        height: of the output, px.
        width: of the output, px.
        dtype: of the pixels.
        format: a key of `FORMATS`.

    Raises:
        ImageError: what does not fit.
    """
    chosen = FORMATS[format]
    if max(height, width) > chosen.max_side:
        raise ImageError(
            f"{width} x {height} px do not fit into {format}, which ends at {chosen.max_side:,} a side"
        )
    if dtype == np.uint16 and not chosen.sixteen_bit:
        raise ImageError(f"{format} cannot hold its 16 bits per channel")


def _check_header(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width} x {height} px are more than the {MAX_PIXELS:,} allowed")
    if width < 1 or height < 1:
        raise ImageError("has no pixels")
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise ImageError("has several frames or pages, which is not supported")
    if image.mode in ("I", "F"):
        raise ImageError("has 32-bit samples, which is not supported")


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits per channel in the file: Pillow's modes do not tell, it cuts 16-bit RGB to 8."""
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))))  # type: ignore[attr-defined]
    return 8


def _decode_8(image: Image.Image) -> Pixels:
    upright = ImageOps.exif_transpose(image)
    if upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in upright.info:
        grey = upright.mode in ("L", "LA", "La", "1")
        pixels = np.array(upright.convert("RGBA"))
        if (pixels[..., 3] != 255).any():
            raise ImageError("has transparency, which is not supported yet")
        return np.ascontiguousarray(pixels[..., : 1 if grey else 3])
    if upright.mode in ("1", "L"):
        return _hwc(np.array(upright.convert("L")))
    return _hwc(np.array(upright.convert("RGB")))


def _decode_16(image: Image.Image, data: bytes) -> Pixels:
    orientation = image.getexif().get(_ORIENTATION, 1) if image.format == "PNG" else 1
    # Pillow's mode does not tell for PNG: it opens 16-bit grey with alpha as RGBA.
    grey = data[25] in (0, 4) if image.format == "PNG" else image.mode.startswith(("L", "I;16"))
    if "transparency" in image.info:
        # A key colour, which OpenCV passes over.
        raise ImageError("has transparency, which is not supported yet")
    # Decoded for its checks only: OpenCV fills up what is missing of a truncated file.
    image.load()
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ImageError("its kind of 16-bit samples is not supported")
    pixels = _hwc(decoded)
    if pixels.shape[2] == 4 and (pixels[..., 3] != 65535).any():
        raise ImageError("has transparency, which is not supported yet")
    pixels = pixels[..., :1] if grey else pixels[..., 2::-1]
    return np.ascontiguousarray(_turn(pixels, orientation))


def _turn(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation: 5 to 8 are transposed, the rest of it are mirrorings."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[::rows, ::columns]


def _hwc(array: Pixels) -> Pixels:
    return array[..., None] if array.ndim == 2 else array


def _damaged(error: Exception) -> ImageError:
    return ImageError(f"cannot be decoded: {_one_line(error) or type(error).__name__}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
