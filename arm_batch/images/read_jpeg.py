"""Reading JPEG: pixels by libvips, which says when they are damaged; what is beside them by Pillow."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from functools import partial

from PIL import Image

from arm_batch.core.image_options import Reading
from arm_batch.errors import ImageError
from arm_batch.images.colour import Model
from arm_batch.images.read_pillow import embedded_metadata
from arm_batch.images.samples import IPTC_LOST, Samples, check_size, choose_frame
from arm_batch.images.vips import oddities, open_jpeg, to_array
from arm_batch.metadata.exif import PREFIX, parse_block, plausible_dpi
from arm_batch.metadata.png_chunks import Read
from arm_batch.metadata.texts import COMMENT, Text

_MODELS: dict[int, Model] = {1: "grey", 3: "rgb", 4: "cmyk"}
"""By the number of bands."""

_BITS = 8

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of segments that say what the samples are."""

_IPTC = 0x0404
"""Of Photoshop's blocks."""

_APP1, _COM, _SOS = 0xE1, 0xFE, 0xDA

JFIF_BYTES = 18
"""Of a file, within which JFIF tells the density."""

_INCHES_PER_UNIT = {1: 1.0, 2: 2.54}

_DAMAGE = (
    "premature end",
    "bad Huffman code",
    "bad arithmetic code",
    "instead of RST",
    "Inconsistent progression",
)
"""What libjpeg only warns of and then makes up pixels; its other warnings are of no consequence."""


def read_jpeg(data: bytes, reading: Reading) -> Samples:
    """Samples of a JPEG file; further pictures in it (MPO) are previews and depth maps, not its frames.

    Raises:
        ImageError: it is refused, or damaged.
        VipsError: it is broken.
        Whatever Pillow trips over in a broken header.
    """
    read = partial(_part, data)
    bits = _bits(read)
    if bits != _BITS:
        raise ImageError(f"has {bits} bits a sample, of which JPEG is read with {_BITS}")
    exif, rest = _split(data, read)
    # Pillow reads EXIF on opening, and takes no file whose EXIF is broken.
    with Image.open(io.BytesIO(rest), formats=("JPEG",)) as image:
        embedded = embedded_metadata(image.info)
        check_size(*image.size, reading)
        _, notes = choose_frame(1, reading)
        bands = to_array(open_jpeg(data))
        check_damage()
        return Samples(
            bands=bands,
            model=_MODELS[bands.shape[2]],
            has_alpha=False,
            format="jpeg",
            notes=(*notes, IPTC_LOST) if _IPTC in image.info.get("photoshop", {}) else notes,
            icc=embedded["icc"],
            exif=partial(parse_block, exif),
            xmp=embedded["xmp"],
            dpi=embedded["dpi"],
            texts=read_comments(read),
        )


def check_damage() -> None:
    """Refuse a JPEG file of which pixels were read and found damaged; `ImageError`.

    Of damage that comes after something odd of no consequence libjpeg says nothing.
    """
    for line in oddities():
        if any(words in line for words in _DAMAGE):
            raise ImageError(f"is damaged: {line.rpartition(': ')[2]}")


def density(head: bytes) -> tuple[float, float] | None:
    """Pixels per inch, as JFIF at the beginning of a file tells them; else None."""
    if head[6:11] != b"JFIF\0" or len(head) < JFIF_BYTES:
        return None
    unit, across, down = struct.unpack_from(">BHH", head, 13)
    inches = _INCHES_PER_UNIT.get(unit)
    return None if inches is None else plausible_dpi(across * inches, down * inches)


def read_comments(read: Read) -> tuple[Text, ...]:
    """What people or programs have written into a file, before its pixels."""
    found = (read(start + 4, stop - start - 4) for marker, start, stop in _segments(read) if marker == _COM)
    return tuple(Text(COMMENT, comment) for comment in found if comment.strip(b"\0 "))


def _part(data: bytes, start: int, size: int) -> bytes:
    return data[start : start + size]


def _split(data: bytes, read: Read) -> tuple[bytes, bytes]:
    """EXIF, and the file without it."""
    block, kept, last = b"", [], 0
    for marker, start, stop in _segments(read):
        if marker == _APP1 and data[start + 4 : start + 10] == PREFIX:
            # A second one goes on where the first has ended.
            block += data[start + (10 if block else 4) : stop]
            kept.append(data[last:start])
            last = stop
    return block, b"".join([*kept, data[last:]]) if kept else data


def _segments(read: Read) -> Iterator[tuple[int, int, int]]:
    """Markers of those before the pixels, as far as they follow each other, and from where to where they reach."""
    place = 2
    while len(head := read(place, 5)) == 5 and head[0] == 0xFF and head[1] != _SOS:
        (size,) = struct.unpack_from(">H", head, 2)
        yield head[1], place, place + 2 + size
        place += 2 + size


def _bits(read: Read) -> int:
    """Of a sample, as the header says; what it should be where it is broken."""
    return next((read(start + 4, 1)[0] for marker, start, _ in _segments(read) if marker in _FRAMES), _BITS)
