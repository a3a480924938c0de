"""Reading BMP with Pillow, and by hand what it refuses: bit masks of any kind, and some palettes."""

from __future__ import annotations

import struct

import numpy as np

from arm_batch.core.arrays import Pixels
from arm_batch.core.image_options import Reading
from arm_batch.errors import ImageError
from arm_batch.images.read_jpeg import read_jpeg
from arm_batch.images.read_pillow import read_pillow
from arm_batch.images.read_png import read_png
from arm_batch.images.samples import Samples, check_size, choose_frame
from arm_batch.metadata.exif import plausible_dpi

_FILE_HEADER = 14
_INFO_HEADER = 40
_HEADER = "<IiiHHIIii"
"""Its size, width, height, planes, bits, compression, size of the pixels, pixels per metre across and down."""

_PLAIN, _BITFIELDS, _JPEG, _PNG, _ALPHA_BITFIELDS = 0, 3, 4, 5, 6
_SHORT_HEADER = 16
"""Of OS/2: up to the bits of a pixel."""

_HEADER_WITH_MASKS, _HEADER_WITH_ALPHA = 52, 56

_COLOURS = _FILE_HEADER + 32
"""Where the number of colours stands."""

_INCHES_PER_METRE = 39.3701

_TYPES = {16: "<u2", 32: "<u4"}


def read_bmp(data: bytes, reading: Reading) -> Samples:
    """Samples of a BMP file.

    Raises:
        ImageError: it is refused, or broken.
        Whatever Pillow trips over in a broken file.
    """
    if len(data) < _FILE_HEADER + _INFO_HEADER:
        return read_pillow(data, reading, "bmp")
    size, width, height, _, _, compression, _, across, down = _fields(data)
    if size >= _INFO_HEADER and compression in (_JPEG, _PNG):
        return _read_inside(data, reading)
    by_palette = _has_odd_palette(data)
    if not (by_palette or _is_masked(data)):
        return read_pillow(data, reading, "bmp")
    check_size(width, abs(height), reading)
    _, notes = choose_frame(1, reading)
    bands = _of_palette(data) if by_palette else _of_masks(data)
    has_alpha = bands.shape[2] == 4
    dpi = plausible_dpi(across / _INCHES_PER_METRE, down / _INCHES_PER_METRE)
    return Samples(bands=bands, model="rgb", has_alpha=has_alpha, format="bmp", dpi=dpi, notes=notes)


def _read_inside(data: bytes, reading: Reading) -> Samples:
    """Samples of the JPEG or PNG file that stands in place of the pixels."""
    _, _, _, _, _, compression, length, _, _ = _fields(data)
    (start,) = struct.unpack_from("<I", data, 10)
    inside = data[start : start + length] if length else data[start:]
    return read_jpeg(inside, reading) if compression == _JPEG else read_png(inside, reading)


def _fields(data: bytes) -> tuple[int, ...]:
    """Of the header, those that it is too short for being 0."""
    (size,) = struct.unpack_from("<I", data, _FILE_HEADER)
    header = data[_FILE_HEADER : _FILE_HEADER + min(size, _INFO_HEADER)].ljust(_INFO_HEADER, b"\0")
    return struct.unpack_from(_HEADER, header)


def _has_odd_palette(data: bytes) -> bool:
    """Whether it has colours of a palette, in a way that Pillow refuses."""
    size, _, _, _, bits, compression, *_ = _fields(data)
    if compression != _PLAIN or bits not in (1, 2, 4, 8) or size < _SHORT_HEADER:
        return False
    many = size >= _INFO_HEADER and struct.unpack_from("<I", data, _COLOURS)[0] > 1 << bits
    return bits == 2 or size == _SHORT_HEADER or many


def _is_masked(data: bytes) -> bool:
    """Whether masks say which bits of a pixel are which colour."""
    size, _, _, _, bits, compression, *_ = _fields(data)
    return size >= _INFO_HEADER and compression in (_BITFIELDS, _ALPHA_BITFIELDS) and bits in _TYPES


def _of_palette(data: bytes) -> Pixels:
    """Pixels ``(h, w, 3)``; what is beyond the palette is black."""
    size, width, height, _, bits, *_ = _fields(data)
    (start,) = struct.unpack_from("<I", data, 10)
    first = _FILE_HEADER + size
    entries = np.frombuffer(data[first : min(start, first + (4 << bits))], np.uint8)
    palette = np.zeros((1 << bits, 3), np.uint8)
    found = entries[: len(entries) // 4 * 4].reshape(-1, 4)[:, 2::-1]
    palette[: len(found)] = found
    lines = _lines(data, width, height, bits)
    steps = np.array(range(8 - bits, -1, -bits), np.uint8)
    indices = (lines[..., None] >> steps & ((1 << bits) - 1)).reshape(abs(height), -1)[:, :width]
    return np.asarray(palette[indices if height < 0 else indices[::-1]], np.uint8)


def _of_masks(data: bytes) -> Pixels:
    """Pixels ``(h, w, 3)``, or ``(h, w, 4)`` with an alpha that is used."""
    size, width, height, _, bits, compression, *_ = _fields(data)
    bands = _unmasked(_rows(data, width, height, bits), _masks(data, size, compression))
    # Many writers leave at zero what they call alpha.
    has_empty_alpha = bands.shape[2] == 4 and not bands[..., 3].any()
    return np.ascontiguousarray(bands[..., :3]) if has_empty_alpha else bands


def _rows(data: bytes, width: int, height: int, bits: int) -> Pixels:
    """Pixels as numbers ``(h, w)``, from top to bottom."""
    pixels = _lines(data, width, height, bits)[:, : width * bits // 8].view(_TYPES[bits])
    return pixels if height < 0 else pixels[::-1]


def _lines(data: bytes, width: int, height: int, bits: int) -> Pixels:
    """The bytes of each row, in the order of the file."""
    (start,) = struct.unpack_from("<I", data, 10)
    stride = -(-width * bits // 32) * 4
    missing = start + stride * abs(height) - len(data)
    # Some writers leave out what fills up the last row.
    if missing > stride - -(-width * bits // 8):
        raise ImageError("cannot be decoded: rows are missing")
    lines = np.frombuffer(data[start:].ljust(stride * abs(height), b"\0"), np.uint8, stride * abs(height))
    return lines.reshape(abs(height), stride)


def _masks(data: bytes, size: int, compression: int) -> tuple[int, ...]:
    """Of red, green, blue and, where there is one, alpha: each some bits side by side."""
    # They are part of longer headers, and follow the short one.
    has_alpha = compression == _ALPHA_BITFIELDS if size < _HEADER_WITH_MASKS else size >= _HEADER_WITH_ALPHA
    try:
        masks = struct.unpack_from("<4I" if has_alpha else "<3I", data, _FILE_HEADER + _INFO_HEADER)
    except struct.error:
        raise ImageError("cannot be decoded: its header is broken") from None
    for mask in masks:
        lowest = mask & -mask
        if mask and (mask // lowest) & (mask // lowest + 1):
            raise ImageError(f"cannot be decoded: a mask of colour bits that are not side by side, {mask:#x}")
    if not any(masks[:3]):
        raise ImageError("cannot be decoded: its masks leave no colour")
    return masks if len(masks) < 4 or masks[3] else masks[:3]


def _unmasked(pixels: Pixels, masks: tuple[int, ...]) -> Pixels:
    """Each channel stretched to 8 bits, ``(h, w, n)``."""
    bands = np.zeros((*pixels.shape, len(masks)), np.uint8)
    for band, mask in enumerate(masks):
        if mask:
            lowest = mask & -mask
            peak = mask // lowest
            values = (pixels & pixels.dtype.type(mask & np.iinfo(pixels.dtype).max)) // pixels.dtype.type(lowest)
            bands[..., band] = np.rint(values * (255 / peak))
    return bands
