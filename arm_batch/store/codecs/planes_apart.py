"""TIFF files that keep each band in tiles of its own, which libvips does not read: band by band it does."""

from __future__ import annotations

import struct

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from arm_batch.errors import ImageError
from arm_batch.store.codecs.metadata import is_big
from arm_batch.store.codecs.vips import Vips, open_tiff

_BITS, _PHOTOMETRIC, _SAMPLES, _PLANES, _SAMPLE_FORMAT = 258, 262, 277, 284, 339
_TILE_WIDTH, _TILE_OFFSETS, _TILE_SIZES = 322, 324, 325
_EXTRA_SAMPLES, _PREMULTIPLIED = 338, 1
_APART, _TOGETHER, _BLACK_IS_0 = 2, 1, 1

_SHORT = 3

_KEPT = (256, 257, 259, 266, 317, _TILE_WIDTH, 323, 347)
"""Size, how it is compressed, and the size of tiles: what holds for each band by itself."""


def has_tiled_planes(directory: ImageFileDirectory_v2) -> bool:
    """Whether a page is of this kind."""
    return directory.get(_PLANES) == _APART and _TILE_WIDTH in directory and directory.get(_SAMPLES, 1) > 1


def open_planes(data: bytes, directory: ImageFileDirectory_v2, empty: ImageFileDirectory_v2) -> Vips:
    """The bands of such a page as one image, without any metadata.

    Args:
        data: the file.
        directory: of the page.
        empty: one without tags, for files like this one.

    Raises:
        ImageError: it is broken, or premultiplied by its alpha.
    """
    samples = directory[_SAMPLES]
    offsets, sizes = directory.get(_TILE_OFFSETS, ()), directory.get(_TILE_SIZES, ())
    tiles = len(offsets) // samples
    if not tiles or len(offsets) % samples or len(sizes) != len(offsets):
        raise ImageError("cannot be decoded: its tiles are not those of its bands")
    # Directories will lie behind what there is, where tiles that are missing would be looked for.
    if any(offset + size > len(data) for offset, size in zip(offsets, sizes, strict=True)):
        raise ImageError("cannot be decoded: tiles are missing")
    if directory.get(_EXTRA_SAMPLES, (0,))[0] == _PREMULTIPLIED:
        raise ImageError("has bands in tiles of their own, premultiplied by alpha, which is not read")
    common = {tag: directory[tag] for tag in _KEPT if tag in directory}
    common |= {tag: directory[tag][:1] for tag in (_BITS, _SAMPLE_FORMAT) if tag in directory}
    common |= {_PHOTOMETRIC: _BLACK_IS_0, _SAMPLES: 1, _PLANES: _TOGETHER}
    pages = bytearray(data)
    place = 8 if is_big(data) else 4
    for band in range(samples):
        own = slice(band * tiles, (band + 1) * tiles)
        empty.reset()
        for tag, value in (common | {_TILE_OFFSETS: offsets[own], _TILE_SIZES: sizes[own]}).items():
            empty.tagtype[tag] = directory.tagtype.get(tag, _SHORT)
            empty[tag] = value
        place = _append(pages, empty, place)
    whole = bytes(pages)
    bands = [open_tiff(whole, band, "warning") for band in range(samples)]
    return bands[0].bandjoin(bands[1:])


def _append(file: bytearray, directory: ImageFileDirectory_v2, place: int) -> int:
    """Add a directory that is the one which is pointed to from `place`; where it points to the next from."""
    order = ">" if file[:1] == b"M" else "<"
    big = is_big(bytes(file[:4]))
    file.extend(bytes(len(file) % 2))
    start = len(file)
    struct.pack_into(f"{order}Q" if big else f"{order}I", file, place, start)
    file.extend(directory.tobytes(start))
    return start + (8 + 20 * len(directory) if big else 2 + 12 * len(directory))
