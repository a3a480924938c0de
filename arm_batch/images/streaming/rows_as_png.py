"""Rows on their way to libvips: as a PNG without compression, the leanest format that it reads from a pipe."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np

from arm_batch.core.arrays import Pixels

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SENT_AT_ONCE = 8 << 20
"""Bytes, but a row at least: each is copied a few times on its way."""


class PngRows:
    """Sends an image as one grey PNG whose width is all its samples side by side, whatever its channels.

    Args:
        send: takes the bytes.
        height: of the image.
        samples: of a row.
        dtype: uint8 or uint16.
    """

    def __init__(
        self, send: Callable[[bytes], object], height: int, samples: int, dtype: np.dtype[np.generic]
    ) -> None:
        self._send = send
        self._samples = samples
        self._dtype = dtype
        self._stored = zlib.compressobj(0)
        send(_SIGNATURE)
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", samples, height, 8 * dtype.itemsize, 0, 0, 0, 0))

    def add(self, rows: Pixels) -> None:
        """Send rows ``(n, w, c)`` of the dtype."""
        step = max(1, _SENT_AT_ONCE // (self._samples * self._dtype.itemsize))
        for start in range(0, len(rows), step):
            self._add(rows[start : start + step].reshape(-1, self._samples))

    def end(self) -> None:
        """Send what ends the file."""
        self._chunk(b"IDAT", self._stored.flush())
        self._chunk(b"IEND", b"")

    def _add(self, rows: Pixels) -> None:
        # The most significant byte first, and before each row the filter: none.
        samples = np.ascontiguousarray(rows, self._dtype.newbyteorder(">"))
        lines = np.zeros((len(rows), 1 + samples.nbytes // len(rows)), np.uint8)
        lines[:, 1:] = samples.view(np.uint8)
        self._chunk(b"IDAT", self._stored.compress(lines.data))

    def _chunk(self, name: bytes, data: bytes) -> None:
        self._send(struct.pack(">I", len(data)) + name)
        self._send(data)
        self._send(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))
