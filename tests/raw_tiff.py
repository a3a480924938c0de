"""TIFF files by hand: the kinds that no library writes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from arm_batch.core.arrays import Array, Pixels

SHORT, LONG, RATIONAL, DOUBLE, ASCII, UNDEFINED = 3, 4, 5, 12, 2, 7
_CODES = {SHORT: "H", LONG: "I", DOUBLE: "d"}

Tags = Mapping[int, tuple[int, Any]]
"""By number the type, and the value: numbers, pairs of them, or bytes."""

_NO_COMPRESSION, _DEFLATE = 1, 8
_SUB_DIRECTORIES = 330


@dataclass(frozen=True)
class Page:
    """A page: its tags, but for where its chunks lie; its chunks, strips or tiles; and pages below it."""

    tags: Tags
    chunks: Sequence[bytes]
    tiled: bool = False
    below: Sequence[Page] = field(default_factory=tuple)


def raw_tiff(*pages: Page) -> bytes:
    """A little-endian file."""
    file = bytearray(b"II*\0\0\0\0\0")
    place = 4
    for page in pages:
        start, following = _add(file, page)
        struct.pack_into("<I", file, place, start)
        place = following
    return bytes(file)


def _add(file: bytearray, page: Page) -> tuple[int, int]:
    """Where the directory begins, and where it points to the next from."""
    tags = dict(page.tags)
    if page.below:
        tags[_SUB_DIRECTORIES] = LONG, tuple(_add(file, below)[0] for below in page.below)
    offsets = []
    for chunk in page.chunks:
        offsets.append(len(file))
        file.extend(chunk + b"\0" * (len(chunk) % 2))
    tags |= {
        324 if page.tiled else 273: (LONG, tuple(offsets)),
        325 if page.tiled else 279: (LONG, tuple(map(len, page.chunks))),
    }
    entries = bytearray()
    for tag, (kind, value) in sorted(tags.items()):
        data, count = _packed(kind, value)
        if len(data) > 4:
            place = len(file)
            file.extend(data + b"\0" * (len(data) % 2))
            data = struct.pack("<I", place)
        entries += struct.pack("<HHI", tag, kind, count) + data.ljust(4, b"\0")
    start = len(file)
    file.extend(struct.pack("<H", len(tags)) + entries + bytes(4))
    return start, len(file) - 4


def _packed(kind: int, value: Any) -> tuple[bytes, int]:
    if isinstance(value, bytes):
        return value, len(value)
    values = value if isinstance(value, tuple) else (value,)
    if kind == RATIONAL:
        return b"".join(struct.pack("<II", *pair) for pair in values), len(values)
    return struct.pack(f"<{len(values)}{_CODES[kind]}", *values), len(values)


def packed_page(
    samples: Array,
    bits: int,
    photometric: int,
    *,
    tags: Tags | None = None,
    fill_order: int = 1,
    apart: bool = False,
    tile: int | None = None,
    rows: int | None = None,
    deflate: bool = False,
) -> Page:
    """A page of samples that lie bit behind bit, each row (of a tile) from a whole byte on.

    Args:
        samples: unsigned ``(h, w, n)``, below ``2**bits``.
        bits: a sample.
        photometric: what they mean.
        tags: further ones.
        fill_order: 1: a byte's highest bit is first; 2: its lowest.
        apart: whether each band lies by itself.
        tile: side of tiles, px; None for strips.
        rows: of a strip; None for all.
        deflate: compressed.
    """
    height, width, count = samples.shape
    chunks = []
    for band in np.split(samples, count, axis=2) if apart else [samples]:
        for piece in (
            _tiles(band, tile)
            if tile
            else [band[y : y + (rows or height)] for y in range(0, height, rows or height)]
        ):
            chunks.append(_bits(piece.reshape(len(piece), -1), bits))
    if fill_order == 2:
        chunks = [_mirrored(chunk) for chunk in chunks]
    if deflate:
        chunks = [zlib.compress(chunk) for chunk in chunks]
    found = {
        256: (LONG, width),
        257: (LONG, height),
        258: (SHORT, (bits,) * count),
        259: (SHORT, _DEFLATE if deflate else _NO_COMPRESSION),
        262: (SHORT, photometric),
        266: (SHORT, fill_order),
        277: (SHORT, count),
        284: (SHORT, 2 if apart else 1),
    }
    found |= {322: (LONG, tile), 323: (LONG, tile)} if tile else {278: (LONG, rows or height)}
    return Page(found | dict(tags or {}), chunks, tile is not None)


def ycbcr_page(
    rgb: Pixels,
    across: int,
    down: int,
    *,
    weights: tuple[float, float, float] = (0.299, 0.587, 0.114),
    reference: tuple[int, ...] = (0, 255, 128, 255, 128, 255),
    tile: int | None = None,
    rows: int | None = None,
    deflate: bool = False,
) -> Page:
    """A page of luma and of chroma at 1/`across` and 1/`down` of the resolution, averaged.

    Args:
        rgb: uint8 ``(h, w, 3)``.
        across: 1, 2 or 4.
        down: 1, 2 or 4.
        weights: of red, green and blue in luma.
        reference: black and white of luma and chroma.
        tile: side of tiles, px; None for strips.
        rows: of a strip; None for all.
        deflate: compressed.
    """
    red, green, blue = weights
    planes = rgb.astype(np.float64)
    luma = planes @ np.array(weights)
    cb = (planes[..., 2] - luma) / (2 - 2 * blue)
    cr = (planes[..., 0] - luma) / (2 - 2 * red)
    full = np.dstack(
        [
            reference[0] + luma / 255 * (reference[1] - reference[0]),
            reference[2] + cb / 127 * (reference[3] - reference[2]),
            reference[4] + cr / 127 * (reference[5] - reference[4]),
        ]
    )
    levels = np.rint(full).clip(0, 255).astype(np.uint8)
    height, width = levels.shape[:2]
    chunks = []
    for piece in (
        _tiles(levels, tile)
        if tile
        else [levels[y : y + (rows or height)] for y in range(0, height, rows or height)]
    ):
        chunks.append(_data_units(piece, across, down))
    if deflate:
        chunks = [zlib.compress(chunk) for chunk in chunks]
    tags: dict[int, tuple[int, Any]] = {
        256: (LONG, width),
        257: (LONG, height),
        258: (SHORT, (8, 8, 8)),
        259: (SHORT, _DEFLATE if deflate else _NO_COMPRESSION),
        262: (SHORT, 6),
        277: (SHORT, 3),
        284: (SHORT, 1),
        529: (RATIONAL, tuple((round(10000 * weight), 10000) for weight in (red, green, blue))),
        530: (SHORT, (across, down)),
        531: (SHORT, 1),
        532: (RATIONAL, tuple((level, 1) for level in reference)),
    }
    tags |= {322: (LONG, tile), 323: (LONG, tile)} if tile else {278: (LONG, rows or height)}
    return Page(tags, chunks, tile is not None)


def _tiles(samples: Array, tile: int) -> list[Array]:
    height, width = samples.shape[:2]
    filled = np.pad(samples, ((0, -height % tile), (0, -width % tile), (0, 0)), mode="edge")
    return [
        filled[y : y + tile, x : x + tile]
        for y in range(0, filled.shape[0], tile)
        for x in range(0, filled.shape[1], tile)
    ]


def _data_units(piece: Pixels, across: int, down: int) -> bytes:
    height, width = piece.shape[:2]
    filled = np.pad(piece, ((0, -height % down), (0, -width % across), (0, 0)), mode="edge")
    blocks = filled.reshape(filled.shape[0] // down, down, filled.shape[1] // across, across, 3).transpose(
        0, 2, 1, 3, 4
    )
    luma = blocks[..., 0].reshape(*blocks.shape[:2], -1)
    chroma = np.rint(blocks[..., 1:].mean(axis=(2, 3))).astype(np.uint8)
    return np.concatenate([luma, chroma], axis=2).tobytes()


def _bits(rows: Array, bits: int) -> bytes:
    places = np.arange(bits - 1, -1, -1)
    found = ((rows[..., None].astype(np.int64) >> places) & 1).astype(np.uint8)
    return np.packbits(found.reshape(len(rows), -1), axis=1).tobytes()


def _mirrored(chunk: bytes) -> bytes:
    return np.packbits(np.unpackbits(np.frombuffer(chunk, np.uint8)).reshape(-1, 8)[:, ::-1]).tobytes()
