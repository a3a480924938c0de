"""BMP files by hand: the kinds that no library writes."""

from __future__ import annotations

import struct

import numpy as np

from arm_batch.core.arrays import Pixels

_BITFIELDS = 3
_FILE_HEADER = 14


def bmp(rows: Pixels, bits: int, masks: tuple[int, ...] = (), palette: Pixels | None = None) -> bytes:
    """A file with a header of version 4.

    Args:
        rows: uint8 ``(h, bytes)``, from top to bottom.
        bits: a pixel.
        masks: of red, green, blue and alpha; without them colours are as they usually are.
        palette: RGB ``(n, 3)``.
    """
    height, width = rows.shape[0], rows.shape[1] * 8 // bits
    colours = b"" if palette is None else b"".join(bytes([b, g, r, 0]) for r, g, b in palette)
    header = struct.pack(
        "<IiiHHIIiiII", 108, width, height, 1, bits, _BITFIELDS * bool(masks), 0, 0, 0, len(colours) // 4, 0
    )
    header += struct.pack("<4I", *(masks or (0,) * 4)) + b"sRGB".ljust(108 - len(header) - 16, b"\0")
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))[::-1].tobytes()
    start = _FILE_HEADER + len(header) + len(colours)
    return b"BM" + struct.pack("<IHHI", start + len(padded), 0, 0, start) + header + colours + padded
