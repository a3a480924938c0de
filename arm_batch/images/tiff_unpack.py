"""Bytes of TIFF files to samples: bit behind bit, and luma beside chroma of a lower resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arm_batch.core.arrays import Pixels
from arm_batch.errors import ImageError

_ROWS_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class Bits:
    """How samples lie bit behind bit.

    Attributes:
        width: of the image, px.
        piece: px of a row that begin on a whole byte: of a tile, or of the image.
        samples: of a pixel that lie side by side.
        bits: of a sample, 1..15.
    """

    width: int
    piece: int
    samples: int
    bits: int

    @property
    def pieces(self) -> int:
        """Beside each other."""
        return -(-self.width // self.piece)

    @property
    def row_bytes(self) -> int:
        """Of a piece."""
        return -(-self.piece * self.samples * self.bits // 8)


def unpack_bits(bits: Bits, rows: Pixels) -> Pixels:
    """Samples stretched to all 8 bits, or to 16 where they have more.

    Args:
        bits: how they lie there.
        rows: uint8 ``(n, bits.pieces * bits.row_bytes, k)``.

    Returns:
        uint8 or uint16 ``(n, bits.width, bits.samples * k)``.
    """
    peak, dtype = (255, np.uint8) if bits.bits <= 8 else (65535, np.uint16)
    levels = np.rint(np.arange(2**bits.bits) * (peak / (2**bits.bits - 1))).astype(dtype)
    height, _, planes = rows.shape
    found = np.empty((height, bits.width, bits.samples * planes), dtype)
    for top in range(0, height, _ROWS_AT_ONCE):
        for plane in range(planes):
            part = found[top : top + _ROWS_AT_ONCE, :, plane * bits.samples : (plane + 1) * bits.samples]
            part[...] = levels[_numbers(bits, rows[top : top + _ROWS_AT_ONCE, :, plane])]
    return found


def _numbers(bits: Bits, rows: Pixels) -> NDArray[np.uint16]:
    """As they lie there, ``(n, bits.width, bits.samples)``."""
    per_piece = bits.piece * bits.samples
    lines = np.ascontiguousarray(rows).reshape(len(rows) * bits.pieces, bits.row_bytes)
    single = np.unpackbits(lines, axis=1, count=per_piece * bits.bits).reshape(-1, bits.bits)
    whole: NDArray[np.uint16] = np.zeros(len(single), np.uint16)
    for place in range(bits.bits):
        whole <<= 1
        whole |= single[:, place]
    return whole.reshape(len(rows), bits.pieces * bits.piece, bits.samples)[:, : bits.width]


def side_by_side(across: int, tile_rows: int, height: int, rows: Pixels) -> Pixels:
    """Tiles that lie one below the other, beside each other.

    Args:
        across: how many to a row.
        tile_rows: rows of a tile.
        height: rows of the image.
        rows: ``(n * tile_rows, width, k)``.

    Returns:
        ``(height, across * width, k)``.

    Raises:
        ImageError: there are too few tiles.
    """
    down = -(-height // tile_rows)
    if len(rows) < down * across * tile_rows:
        raise ImageError("cannot be decoded: tiles are missing")
    tiles = rows[: down * across * tile_rows].reshape(down, across, tile_rows, *rows.shape[1:])
    return tiles.transpose(0, 2, 1, 3, 4).reshape(down * tile_rows, -1, rows.shape[2])[:height]


@dataclass(frozen=True, kw_only=True)
class Units:
    """How luma lies beside chroma: in blocks that share one sample of each.

    Attributes:
        height: of the image, px.
        width: of the image, px.
        piece: px of a row that lie together: of a tile, or of the image.
        across: px of a block.
        down: px of a block.
        cosited: whether chroma is that of a block's first pixel, instead of its middle.
    """

    height: int
    width: int
    piece: int
    across: int
    down: int
    cosited: bool

    def __post_init__(self) -> None:
        if self.across not in (1, 2, 4) or self.down not in (1, 2, 4):
            raise ImageError(f"cannot be decoded: its chroma is at 1/{self.across} by 1/{self.down}")
        if self.pieces > 1 and self.piece % self.across:
            raise ImageError("cannot be decoded: its tiles are not whole blocks of chroma")

    @property
    def rows(self) -> int:
        """Of blocks."""
        return -(-self.height // self.down)

    @property
    def pieces(self) -> int:
        """Beside each other."""
        return -(-self.width // self.piece)

    @property
    def blocks(self) -> int:
        """Of a piece."""
        return -(-self.piece // self.across)

    @property
    def row_bytes(self) -> int:
        """Of a piece."""
        return self.blocks * (self.across * self.down + 2)


def join_chroma(units: Units, rows: Pixels) -> Pixels:
    """Luma and chroma of every pixel; chroma is interpolated linearly.

    Args:
        units: how they lie there.
        rows: uint8 ``(units.rows, units.pieces * units.row_bytes, 1)``.

    Returns:
        uint8 ``(units.height, units.width, 3)``.
    """
    per_block = units.across * units.down
    blocks = rows.reshape(units.rows, units.pieces * units.blocks, per_block + 2)
    luma = blocks[..., :per_block].reshape(*blocks.shape[:2], units.down, units.across).transpose(0, 2, 1, 3)
    found = np.empty((units.height, units.width, 3), np.uint8)
    found[..., 0] = luma.reshape(units.rows * units.down, -1)[: units.height, : units.width]
    for band in (0, 1):
        tall = _stretched(blocks[..., per_block + band], units.height, units.down, units.cosited)
        found[..., 1 + band] = _stretched(tall.T, units.width, units.across, units.cosited).T
    return found


def _stretched(values: Pixels, length: int, factor: int, cosited: bool) -> Pixels:
    """Rows by linear interpolation, `factor` for each, `length` in all."""
    places = np.arange(length) / factor if cosited else (np.arange(length) + 0.5) / factor - 0.5
    places = places.clip(0, len(values) - 1)
    before = places.astype(np.intp)
    after = np.minimum(before + 1, len(values) - 1)
    # In 1/256: factors are powers of 2, so that nothing is lost.
    share: NDArray[np.uint16] = np.rint(256 * (places - before)).astype(np.uint16)[:, None]
    found = np.empty((length, values.shape[1]), np.uint8)
    for top in range(0, length, _ROWS_AT_ONCE):
        part = slice(top, top + _ROWS_AT_ONCE)
        low, high = values[before[part]].astype(np.uint16), values[after[part]].astype(np.uint16)
        found[part] = (low * (256 - share[part]) + high * share[part] + 128) // 256
    return found
