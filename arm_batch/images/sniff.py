"""Telling formats by their first bytes."""

from __future__ import annotations

import struct

from arm_batch.errors import ImageError

_HEADS = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"BM": "bmp",
    b"\0\0\0\x0cjP  \r\n\x87\n": "jp2",
    b"\xff\x4f\xff\x51": "jp2",
}

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})

_CODING_STYLE = b"\xff\x52"
_REVERSIBLE = 1


def sniff(data: bytes) -> str:
    """The format of a file, a key of `formats.FAMILY`.

    Raises:
        ImageError: it is none that can be read.
    """
    for head, format in _HEADS.items():
        if data.startswith(head):
            return "jp2-lossless" if format == "jp2" and _is_reversible(data) else format
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp-lossless" if _is_lossless_webp(data) else "webp"
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        return "avif"
    if brands & _HEIF_BRANDS:
        return "heif"
    raise ImageError("not an image in a known format")


def _brands(data: bytes) -> set[bytes]:
    """What a file of boxes says it can be read as; nothing where it is none."""
    if data[4:8] != b"ftyp":
        return set()
    (size,) = struct.unpack(">I", data[:4])
    return {data[8:12], *(data[place : place + 4] for place in range(16, min(size, 256), 4))}


def _is_lossless_webp(data: bytes) -> bool:
    """Whether the first frame is coded without loss."""
    place = 12
    while place + 8 <= len(data):
        kind, size = struct.unpack("<4sI", data[place : place + 8])
        if kind in (b"VP8 ", b"VP8L"):
            return bool(kind == b"VP8L")
        # A frame of an animation has a header of 16 bytes, and then chunks of its own.
        place += 24 if kind == b"ANMF" else 8 + size + size % 2
    return False


def _is_reversible(data: bytes) -> bool:
    """Whether a JPEG 2000 codestream says in its main header that it uses the wavelet that loses nothing."""
    start = max(0, data.find(b"\xff\x4f\xff\x51"))
    place = data.find(_CODING_STYLE, start)
    return place >= 0 and data[place + 13 : place + 14] == bytes([_REVERSIBLE])
