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
    if directory.get(_EXTRA_SAMPLES, (0,))[0] == _PREMULTIPLIED:
        raise ImageError("has bands in tiles of their own, premultiplied by alpha, which is not read")
    bands = []
    for band in range(samples):
        own = slice(band * tiles, (band + 1) * tiles)
        tags = {tag: directory[tag] for tag in _KEPT if tag in directory}
        tags |= {_TILE_OFFSETS: offsets[own], _TILE_SIZES: sizes[own], _BITS: directory[_BITS][:1]}
        tags |= {_PHOTOMETRIC: _BLACK_IS_0, _SAMPLES: 1, _PLANES: _TOGETHER}
        if _SAMPLE_FORMAT in directory:
            tags[_SAMPLE_FORMAT] = directory[_SAMPLE_FORMAT][:1]
        empty.reset()
        for tag, value in tags.items():
            empty.tagtype[tag] = directory.tagtype.get(tag, _SHORT)
            empty[tag] = value
        bands.append(open_tiff(_with_directory(data, empty), 0, "warning"))
    return bands[0].bandjoin(bands[1:])


def _with_directory(data: bytes, directory: ImageFileDirectory_v2) -> bytes:
    """The file with a directory at its end in place of its first."""
    start = len(data) + len(data) % 2
    order = ">" if data[:1] == b"M" else "<"
    pointer = struct.pack(f"{order}Q", start) if is_big(data) else struct.pack(f"{order}I", start)
    place = 8 if is_big(data) else 4
    body = data[:place] + pointer + data[place + len(pointer) :].ljust(start - place - len(pointer), b"\0")
    return body + directory.tobytes(start)
