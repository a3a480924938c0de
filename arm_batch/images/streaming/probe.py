"""How large an image is, by its header alone."""

from __future__ import annotations

import struct
from typing import BinaryIO

from PIL import Image

from arm_batch.core.image_options import Reading
from arm_batch.errors import ArmBatchError, ImageError
from arm_batch.images.quiet import no_warnings
from arm_batch.images.read_pillow import PILLOW_NAMES
from arm_batch.images.read_tiff import size_of
from arm_batch.images.sniff import sniff
from arm_batch.images.tiff_pages import choose_page

HEAD_BYTES = 4096
"""Of a file: enough to tell its format."""


def probe_size(stream: BinaryIO, reading: Reading) -> tuple[int, int] | None:
    """Height and width of an image, before EXIF turns it; None where the header does not tell.

    Then the decoder says what is wrong with it.

    Args:
        stream: the file; left at its beginning.
        reading: which page it is about.

    Raises:
        Whatever the stream raises that is an error of this package or an `OSError` of its own.
    """
    try:
        with no_warnings():
            return _size(stream, reading)
    except ArmBatchError as error:
        if isinstance(error, ImageError):
            return None
        raise
    except (FileNotFoundError, PermissionError):
        raise
    except Exception:
        # Readers let through whatever a broken file makes them trip over.
        return None
    finally:
        stream.seek(0)


def _size(stream: BinaryIO, reading: Reading) -> tuple[int, int]:
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    format = sniff(head)
    if format == "png":
        width, height = struct.unpack(">II", head[16:24])
        return height, width
    if format == "tiff":
        width, height = size_of(choose_page(stream, reading))
        return height, width
    stream.seek(0)
    with Image.open(stream, formats=PILLOW_NAMES[format]) as image:
        width, height = image.size
        # Pillow closes streams that it takes for its own.
        image.fp = None
        return height, width
