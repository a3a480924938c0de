"""Formats of which Pillow cuts more than 8 bits: what is to be had of the rest, and a note where it is not."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import numpy as np
from PIL import Image

from arm_batch.core.image_options import Reading
from arm_batch.errors import ImageError
from arm_batch.images.opencv import decode_deep
from arm_batch.images.read_pillow import PILLOW_NAMES, embedded_metadata, read_pillow
from arm_batch.images.samples import Samples, check_size, choose_frame

_SIZE = b"\xff\x4f\xff\x51"
_TILE_PART, _PART_HEADER, _END = b"\xff\x90\x00\x0a", 12, b"\xff\xd9"
_DAMAGED = "broken data stream when reading image file"
_SIZE_TO_DEPTH = 42
"""From the start of a codestream to the depth of its first component."""

_SIMPLE = {"L": 1, "RGB": 3, "RGBA": 4}
"""Modes of Pillow, and their bands, that OpenCV cannot mean otherwise."""


def read_jp2(data: bytes, reading: Reading, format: str) -> Samples:
    """Samples of a JPEG 2000 file; colours of more than 8 bits by OpenCV, stretched to 16."""
    depth = _jp2_depth(data)
    try:
        # First by Pillow in any case: it notices what is missing of a truncated file.
        samples = read_pillow(data, reading, format)
    except OSError:
        samples = _read_odd_jp2(data, reading, format)
    if depth <= 8 or samples.bands.dtype == np.uint16:
        return samples
    deep = decode_deep(data)
    if deep is None or deep.shape != samples.bands.shape or deep.dtype != np.uint16 or depth > 16:
        return _cut(samples, depth)
    bands = deep * (65535 / (2**depth - 1))
    return replace(samples, bands=np.rint(bands.clip(0, 65535)).astype(np.uint16))


def _read_odd_jp2(data: bytes, reading: Reading, format: str) -> Samples:
    """What Pillow breaks off at, if all of the file is there: once more, and then by OpenCV."""
    data = _without_part_counts(data)
    try:
        return read_pillow(data, reading, format)
    except OSError:
        bands = decode_deep(data)
    with Image.open(io.BytesIO(data), formats=PILLOW_NAMES[format]) as image:
        check_size(*image.size, reading)
        _, notes = choose_frame(1, reading)
        shape = image.height, image.width, _SIMPLE.get(image.mode, 0)
        if bands is None or bands.dtype != np.uint8 or bands.shape != shape:
            raise OSError(_DAMAGED)
        return Samples(
            bands=bands,
            model="grey" if bands.shape[2] < 3 else "rgb",
            has_alpha=image.mode == "RGBA",
            format=format,
            notes=notes,
            **embedded_metadata(image.info),
        )


def _without_part_counts(data: bytes) -> bytes:
    """The file without saying of how many parts its tiles are, which it may: some say one too few.

    Raises:
        OSError: the parts do not follow each other, as long as they say, up to what ends them.
    """
    place = data.find(_TILE_PART, max(0, data.find(_SIZE)))
    mended = bytearray(data)
    while place >= 0 and data[place : place + 4] == _TILE_PART and place + _PART_HEADER <= len(data):
        (length,) = struct.unpack_from(">I", data, place + 6)
        mended[place + 11] = 0
        # The last one may reach to the end without saying how far that is.
        place = place + length if length else len(data) - len(_END)
    if place < 0 or data[place : place + 2] != _END:
        raise OSError(_DAMAGED)
    return bytes(mended)


def read_heif(data: bytes, reading: Reading, format: str) -> Samples:
    """Samples of an AVIF or HEIF file, in 8 bits.

    Raises:
        ImageError: it is HEIF, and `pillow_heif` is not installed.
    """
    if format == "heif":
        _register_heif()
    samples = read_pillow(data, reading, format)
    depth = _heif_depth(data)
    return samples if depth == 8 else _cut(samples, depth)


def _register_heif() -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise ImageError("is HEIF, which takes `pip install 'arm-batch[heif]'`") from None
    register_heif_opener()


def _cut(samples: Samples, depth: int) -> Samples:
    return replace(samples, notes=(*samples.notes, f"cut from {depth} to 8 bits"))


def _jp2_depth(data: bytes) -> int:
    start = data.find(_SIZE)
    place = start + _SIZE_TO_DEPTH
    return (data[place] & 0x7F) + 1 if start >= 0 and place < len(data) else 8


def _heif_depth(data: bytes) -> int:
    """As the configuration of the first picture in the file says, of AV1 or of HEVC."""
    place = data.find(b"av1C") + 6
    if 6 <= place < len(data):
        return (12 if data[place] & 0x20 else 10) if data[place] & 0x40 else 8
    place = data.find(b"hvcC") + 21
    return 8 + (data[place] & 7) if 21 <= place < len(data) else 8
