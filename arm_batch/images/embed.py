"""EXIF, the resolution and texts in files that libvips has written without: it adds to EXIF and to the rest."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from arm_batch.images.vips import Vips, set_blob
from arm_batch.metadata.boxes import replace_exif
from arm_batch.metadata.texts import Text

_SOI, _PREFIX = b"\xff\xd8", b"Exif\0\0"
_BEHIND_HEADER = 33
"""Where the second chunk of a PNG file begins."""

_HAS_EXIF, _HAS_ALPHA, _EXTENDED = 8, 16, 10

_PLACEHOLDER = _PREFIX + b"II*\0\x08\0\0\0\0\0\0\0\0\0"


def with_placeholder(image: Vips, keep: str) -> tuple[Vips, str]:
    """An image, and what of it is to be kept, with the smallest block of EXIF: where it goes others can."""
    set_blob(image, "exif-data", _PLACEHOLDER)
    return image, "exif" if keep == "none" else f"exif:{keep}"


@dataclass(frozen=True)
class Embedded:
    """What libvips has not written.

    Attributes:
        exif: a block from ``Exif`` on, or nothing.
        dpi: pixels per inch.
        texts: that the format holds.
    """

    exif: bytes
    dpi: tuple[float, float] | None
    texts: tuple[Text, ...] = ()


def room_for(format: str, embedded: Embedded) -> int:
    """How many bytes `embed` adds to the beginning of a JPEG or PNG file."""
    return len(_head_of_jpeg(embedded)) - len(_SOI) if format == "jpeg" else len(_chunks(embedded))


def embed(file: BinaryIO, format: str, embedded: Embedded) -> None:
    """Put this into a JPEG or PNG file as libvips writes it, or say of the resolution that there is none.

    Args:
        file: `room_for` so many free bytes, then what libvips wrote without EXIF; open for reading and writing.
        format: ``jpeg`` or ``png``.
        embedded: what goes there.
    """
    if format == "jpeg":
        file.seek(0)
        file.write(_head_of_jpeg(embedded))
        return
    file.seek(room_for(format, embedded))
    head = file.read(_BEHIND_HEADER)
    file.seek(0)
    file.write(head + _chunks(embedded))
    if embedded.dpi is None:
        _take_back_density(file)


def with_embedded(data: bytes, format: str, embedded: Embedded) -> bytes:
    """A file as libvips wrote it with this; of WebP and AVIF EXIF tells the resolution, too, and texts are none.

    Args:
        data: without EXIF; AVIF, where there is any, `with_placeholder`.
        format: ``jpeg``, ``png``, ``webp`` or ``avif``.
        embedded: what goes there.
    """
    exif = embedded.exif
    if format == "webp":
        return _webp_with_exif(data, exif) if exif else data
    if format == "avif":
        return replace_exif(data, exif) if exif else data
    file = io.BytesIO(bytes(room_for(format, embedded)) + data)
    embed(file, format, embedded)
    return file.getvalue()


def _head_of_jpeg(embedded: Embedded) -> bytes:
    """What takes the place of the two bytes that a JPEG file begins with."""
    across, down = (min(65_535, max(1, round(value))) for value in embedded.dpi or (1, 1))
    jfif = b"JFIF\0\1\1" + struct.pack(">BHHBB", embedded.dpi is not None, across, down, 0, 0)
    exif = _segment(0xE1, embedded.exif) if embedded.exif else b""
    return _SOI + _segment(0xE0, jfif) + exif + b"".join(_segment(0xFE, text.body) for text in embedded.texts)


def _chunks(embedded: Embedded) -> bytes:
    """Of PNG, what comes behind the header."""
    exif = _chunk(b"eXIf", embedded.exif.removeprefix(_PREFIX)) if embedded.exif else b""
    return exif + b"".join(_chunk(*text) for text in embedded.texts)


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _take_back_density(file: BinaryIO) -> None:
    """libvips always writes one: make it say that pixels are square, and no more."""
    place = 8
    while True:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IDAT":
            return
        if head[4:] == b"pHYs":
            file.seek(place)
            file.write(_chunk(b"pHYs", struct.pack(">IIB", 1, 1, 0)))
            return
        place += 12 + int.from_bytes(head[:4], "big")


def _webp_with_exif(data: bytes, exif: bytes) -> bytes:
    body = data[12:]
    if body[:4] != b"VP8X":
        body = _extended_header(body) + body
    header = bytearray(body[: 8 + _EXTENDED])
    header[8] |= _HAS_EXIF
    chunks: list[bytes] = []
    place = len(header)
    while place + 8 <= len(body):
        size = int.from_bytes(body[place + 4 : place + 8], "little")
        chunks.append(body[place : place + 8 + size + size % 2])
        place += 8 + size + size % 2
    block = exif.removeprefix(_PREFIX)
    added = b"EXIF" + struct.pack("<I", len(block)) + block + bytes(len(block) % 2)
    # It comes before XMP, behind all else.
    last = next((index for index, chunk in enumerate(chunks) if chunk[:4] == b"XMP "), len(chunks))
    whole = b"WEBP" + bytes(header) + b"".join([*chunks[:last], added, *chunks[last:]])
    return b"RIFF" + struct.pack("<I", len(whole)) + whole


def _extended_header(body: bytes) -> bytes:
    """For a file that has nothing but the pixels so far."""
    if body[:4] == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 9)
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    else:
        across, down = struct.unpack_from("<HH", body, 14)
        width, height, alpha = (across & 0x3FFF) - 1, (down & 0x3FFF) - 1, 0
    sides = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    return b"".join([b"VP8X", struct.pack("<IB3x", _EXTENDED, alpha * _HAS_ALPHA), sides])
