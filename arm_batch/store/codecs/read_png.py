"""Reading PNG: libvips keeps all depths, key colours and 16 bits as they are."""

from __future__ import annotations

import struct
import zlib
from functools import partial

from arm_batch.core.imaging import Reading
from arm_batch.store.codecs.metadata import plausible_dpi, read_exif
from arm_batch.store.codecs.read_pillow import read_pillow
from arm_batch.store.codecs.samples import Samples, check_size, choose_frame
from arm_batch.store.codecs.vips import get_blob, open_png, to_array

_MM_PER_INCH = 25.4
_FIRST_CHUNK = 8
_PROFILE_BYTES = 2**24
"""More than any profile has; a few bytes can be compressed zeros without end."""


def read_png(data: bytes, reading: Reading) -> Samples:
    """Samples of a PNG file; of an animated one a later frame is composed by Pillow, in 8 bits."""
    width, height = struct.unpack(">II", data[16:24].ljust(8, b"\0"))
    check_size(width, height, reading)
    index, notes = choose_frame(_count_frames(data), reading)
    if index > 0:
        return read_pillow(data, reading, "png")
    image = open_png(data)
    bands = to_array(image)
    return Samples(
        bands=bands,
        model="grey" if bands.shape[2] < 3 else "rgb",
        has_alpha=bands.shape[2] in (2, 4),
        format="png",
        icc=_profile(data),
        exif=partial(read_exif, get_blob(image, "exif-data") or b""),
        xmp=get_blob(image, "xmp-data"),
        dpi=plausible_dpi(image.xres * _MM_PER_INCH, image.yres * _MM_PER_INCH) if _chunk(data, b"pHYs") else None,
        notes=notes,
    )


def _count_frames(data: bytes) -> int:
    """1 but for animated PNG, which says it in a chunk before the pixels."""
    control = _chunk(data, b"acTL")
    return max(1, struct.unpack(">I", control[:4])[0]) if control else 1


def _profile(data: bytes) -> bytes | None:
    """The colour profile as it lies in the file, for libpng drops some without a word; empty if it is broken."""
    named = _chunk(data, b"iCCP")
    if named is None:
        return None
    # Behind the name comes a zero, and one more for how it is compressed.
    compressed = named[named.find(b"\0") + 2 :]
    try:
        return zlib.decompressobj().decompress(compressed, _PROFILE_BYTES)
    except zlib.error:
        return b""


def _chunk(data: bytes, kind: bytes) -> bytes | None:
    """What the first chunk of this kind before the pixels holds."""
    place = _FIRST_CHUNK
    while place + 8 <= len(data):
        size, found = struct.unpack_from(">I4s", data, place)
        if found == kind:
            return data[place + 8 : place + 8 + size]
        if found == b"IDAT":
            return None
        place += 12 + size
    return None
