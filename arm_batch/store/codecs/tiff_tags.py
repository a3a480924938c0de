"""Tags that libvips does not write into TIFF files."""

from __future__ import annotations

import struct

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from arm_batch.store.codecs.metadata import is_big, lasting_tags, read_exif

_EXTRA_SAMPLES = 338


def with_tags(data: bytes, exif: bytes | None, extra_samples: tuple[int, ...]) -> bytes:
    """A TIFF file of one page with EXIF, and with what its bands beyond the colours are.

    libvips writes no EXIF and calls every further band alpha. A new directory at the end of the file takes the
    place of the one it wrote; all that this one points to stays where it is.

    Args:
        data: the file, little-endian.
        exif: a block.
        extra_samples: for each band beyond the colours 2 for alpha, 0 for anything else.
    """
    header = data[: 16 if is_big(data) else 8]
    added = ImageFileDirectory_v2(header)
    if extra_samples:
        added[_EXTRA_SAMPLES] = extra_samples
    if exif is not None:
        for tag, value in lasting_tags(read_exif(exif)).items():
            added[tag] = value
    if not len(added):
        return data
    pointer = "<Q" if is_big(data) else "<I"
    start = _even(len(data))
    block = added.tobytes(start)
    end = _even(start + len(block))
    old = struct.unpack(pointer, header[-struct.calcsize(pointer) :])[0]
    entries = _entries(data[old:], is_big(data)) | _entries(block, is_big(data))
    directory = struct.pack("<Q" if is_big(data) else "<H", len(entries))
    directory += b"".join(entry for _, entry in sorted(entries.items())) + struct.pack(pointer, 0)
    body = data[len(header) :].ljust(start - len(header), b"\0") + block.ljust(end - start, b"\0")
    return header[: -struct.calcsize(pointer)] + struct.pack(pointer, end) + body + directory


def _entries(directory: bytes, big: bool) -> dict[int, bytes]:
    """The entries of a directory by tag, as they stand."""
    count, start, size = (
        (*struct.unpack_from("<Q", directory), 8, 20) if big else (*struct.unpack_from("<H", directory), 2, 12)
    )
    entries = (directory[start + size * n : start + size * (n + 1)] for n in range(count))
    return {struct.unpack_from("<H", entry)[0]: entry for entry in entries}


def _even(place: int) -> int:
    """Directories begin on even offsets."""
    return place + place % 2
