"""Image files of every kind, made by other libraries than the one that reads them where there are two."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image, ImageCms

from arm_batch.core.arrays import Pixels


def noise(seed: int, height: int = 20, width: int = 30, channels: int = 3, depth: int = 8) -> Pixels:
    """Every sample by itself, so that a test notices when one is at the wrong place."""
    levels = np.random.default_rng(seed).integers(0, 2**depth, (height, width, channels))
    return levels.astype(np.uint8 if depth == 8 else np.uint16)


def smooth(seed: int, height: int = 40, width: int = 60, channels: int = 3, depth: int = 8) -> Pixels:
    """What survives upscaling and lossy formats: a few levels, interpolated, far from black and white."""
    coarse = np.random.default_rng(seed).uniform(0.2, 0.8, (5, 6, channels))
    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, channels)
    return np.asarray(np.rint(fine * (2**depth - 1)), np.uint8 if depth == 8 else np.uint16)


def saved(image: Image.Image | Pixels, format: str, **options: object) -> bytes:
    """By Pillow."""
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    """By tifffile."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, metadata=None, **options)
    return buffer.getvalue()


def opencv(extension: str, pixels: Pixels, *options: int) -> bytes:
    """By OpenCV."""
    swapped = pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]] if pixels.shape[2] > 2 else pixels
    return cv2.imencode(extension, np.ascontiguousarray(swapped), options)[1].tobytes()


def deep_png(pixels: Pixels) -> bytes:
    """16 bits, grey, RGB or RGBA, by OpenCV."""
    return opencv(".png", pixels)


def chunk(kind: bytes, body: bytes) -> bytes:
    """Of PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """By hand, with chunks between header and pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def with_chunk(data: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG file with a further chunk behind its header."""
    return data[:33] + chunk(kind, body) + data[33:]


def exif(**tags: object) -> bytes:
    """A block; ``exif(orientation=6)``."""
    data = Image.Exif()
    for name, value in tags.items():
        data[{"orientation": 0x112, "maker": 0x10F}[name]] = value
    return data.tobytes()


def with_alpha(pixels: Pixels, value: int) -> Pixels:
    """With an alpha channel of which one pixel has `value`, the rest is opaque."""
    top = np.full((*pixels.shape[:2], 1), np.iinfo(pixels.dtype).max, pixels.dtype)
    top[3, 4] = value
    return np.concatenate([pixels, top], axis=2)


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
"""A profile for RGB."""


def profile(gamma: float, primaries: tuple[tuple[float, float, float], ...] | None = None) -> bytes:
    """An ICC profile: a matrix for RGB with these primaries (XYZ at D50), or a curve for grey; with a gamma."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)

    def xyz(values: tuple[float, float, float]) -> bytes:
        return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in values))

    white = xyz((0.9642, 1.0, 0.8249))
    text = b"text" + bytes(4) + b"none\0" + bytes(3)
    description = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(12 + 67)
    tags = {b"desc": description, b"cprt": text, b"wtpt": white}
    if primaries is None:
        tags |= {b"kTRC": curve}
    else:
        tags |= dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(xyz, primaries), strict=True))
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    body = b""
    table = struct.pack(">I", len(tags))
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        value += bytes(-len(value) % 4)
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value
    header = bytearray(128)
    header[0:4] = struct.pack(">I", start + len(body))
    header[8:12] = b"\x02\x40\0\0"
    header[12:24] = b"mntr" + (b"GRAY" if primaries is None else b"RGB ") + b"XYZ "
    header[24:36] = struct.pack(">6H", 2020, 1, 1, 0, 0, 0)
    header[36:40] = b"acsp"
    header[68:80] = struct.pack(">3i", 63190, 65536, 54061)
    return bytes(header) + table + body


WIDE = profile(1.8, ((0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249)))
"""A profile for RGB whose colours are far from those of sRGB."""

GREY_GAMMA = profile(1.0)
"""A profile for grey."""


def to_srgb_by_pillow(image: Image.Image, icc: bytes) -> Pixels:
    """What an image shows by its profile, RGB of 8 bits, according to Pillow."""
    converted = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(io.BytesIO(icc)),
        ImageCms.createProfile("sRGB"),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        "RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None
    return np.asarray(converted)


def by_opencv(data: bytes, flags: int = cv2.IMREAD_COLOR) -> Pixels:
    """As OpenCV decodes a file: BGR."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    assert found is not None
    return np.asarray(found)
