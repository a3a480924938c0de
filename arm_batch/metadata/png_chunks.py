"""The chunks of a PNG file that tell of other things than pixels, wherever in it they stand."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from arm_batch.metadata.described import space_of_png
from arm_batch.metadata.exif import plausible_dpi
from arm_batch.metadata.spaces import Space
from arm_batch.metadata.texts import PNG_TEXTS, Text, is_kept

Read = Callable[[int, int], bytes]
"""Gives so many bytes from an offset on, fewer at the end of the file."""

_SIGNATURE = 8
_METRES_PER_INCH = 0.0254
_IN_METRES = 1
_MOST_BYTES = 2**24
"""Of a chunk, and of what it holds: a few bytes can be compressed zeros without end."""

_XMP = b"XML:com.adobe.xmp"
_RAW = b"Raw profile type "
"""What ImageMagick calls metadata that it writes as text: hexadecimal, behind a name and a length."""

_TOLD_ELSEWHERE = (_XMP, _RAW + b"xmp", _RAW + b"exif", _RAW + b"APP1")

_KINDS = frozenset({b"iCCP", b"eXIf", b"pHYs", b"acTL", b"cICP", b"sRGB", b"gAMA", b"cHRM", *PNG_TEXTS})


class Told(NamedTuple):
    """What a file tells beside its pixels.

    Attributes:
        chunks: the first of each kind, but for texts.
        texts: by their names.
        kept: texts that hold for other files too, but for those that `exif` and `xmp` are made of.
    """

    chunks: dict[bytes, bytes]
    texts: dict[bytes, bytes]
    kept: tuple[Text, ...] = ()

    @property
    def icc(self) -> bytes | None:
        """The profile as it lies in the file, for libpng drops some without a word; empty if it is broken."""
        named = self.chunks.get(b"iCCP")
        # What is said by codes goes before it.
        if named is None or (b"cICP" in self.chunks and self.space is not None):
            return None
        # Behind the name comes a zero, and one more for how it is compressed.
        return _inflated(named[named.find(b"\0") + 2 :])

    @property
    def space(self) -> Space | None:
        """What it says of its colours in other ways."""
        return space_of_png(self.chunks)

    @property
    def exif(self) -> bytes:
        """A block, empty where there is none."""
        block = self.chunks.get(b"eXIf")
        return block or self._raw(b"exif") or self._raw(b"APP1")

    @property
    def xmp(self) -> bytes | None:
        """The packet."""
        return self.texts.get(_XMP) or self._raw(b"xmp") or None

    @property
    def dpi(self) -> tuple[float, float] | None:
        """Pixels per inch, where the file says so."""
        density = self.chunks.get(b"pHYs", b"")
        if len(density) != 9 or density[8] != _IN_METRES:
            return None
        across, down = struct.unpack(">II", density[:8])
        return plausible_dpi(across * _METRES_PER_INCH, down * _METRES_PER_INCH)

    @property
    def frames(self) -> int:
        """1 but for animated PNG."""
        control = self.chunks.get(b"acTL", b"")
        return max(1, struct.unpack(">I", control[:4])[0]) if len(control) >= 4 else 1

    def _raw(self, kind: bytes) -> bytes:
        lines = self.texts.get(_RAW + kind, b"").strip().split(b"\n", 2)
        try:
            block = bytes.fromhex(lines[-1].decode("ascii")) if len(lines) == 3 else b""
        except ValueError:
            return b""
        # APP1 is EXIF, or else XMP.
        return b"" if kind == b"APP1" and not block.startswith(b"Exif") else block


def read_told(read: Read) -> Told:
    """Read what a file tells; what is broken is passed over."""
    chunks: dict[bytes, bytes] = {}
    texts: dict[bytes, bytes] = {}
    kept: list[Text] = []
    for kind, start, size in _list_chunks(read):
        if kind not in _KINDS or size > _MOST_BYTES:
            continue
        body = read(start, size)
        if kind in PNG_TEXTS:
            name, text = _text(kind, body)
            texts.setdefault(name, text)
            found = Text(kind, body)
            if name not in _TOLD_ELSEWHERE and is_kept(found) and _is_sound(found, read(start + size, 4)):
                kept.append(found)
        else:
            chunks.setdefault(kind, body)
    return Told(chunks, texts, tuple(kept))


def _list_chunks(read: Read) -> Iterator[tuple[bytes, int, int]]:
    """Kind, offset and length."""
    place = _SIGNATURE
    while len(head := read(place, 8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        yield kind, place + 8, size
        if kind == b"IEND":
            return
        place += 12 + size


def _is_sound(text: Text, checksum: bytes) -> bool:
    return checksum == struct.pack(">I", zlib.crc32(text.kind + text.body))


def _text(kind: bytes, body: bytes) -> tuple[bytes, bytes]:
    name, _, rest = body.partition(b"\0")
    if kind == b"tEXt":
        return name, rest
    if kind == b"zTXt":
        return name, _inflated(rest[1:])
    # Compressed or not and how, then a language and the name in it.
    text = rest[2:].split(b"\0", 2)[-1]
    return name, _inflated(text) if rest[:1] == b"\1" else text


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _MOST_BYTES)
    except zlib.error:
        return b""
