"""OpenCV as a reader of what the other libraries do not read, or not as deep; kept quiet."""

from __future__ import annotations

import cv2
import numpy as np

from arm_batch.core.arrays import Pixels
from arm_batch.errors import ImageError

# It has something to say about many a sound file. What counts is whether it gives pixels.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def decode_deep(data: bytes) -> Pixels | None:
    """The samples ``(h, w, n)``, in whatever depth they have, colours as RGB; None for what it cannot read."""
    return _as_rgb(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))


def decode_first(data: bytes) -> Pixels:
    """The same for the first page of a TIFF file.

    Raises:
        ImageError: it cannot be read.
    """
    _, pages = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED, range=(0, 1))
    bands = _as_rgb(pages[0]) if len(pages) == 1 else None
    if bands is None:
        raise ImageError("cannot be decoded: broken, or samples of 64 bits of a kind that is not read")
    return bands


def _as_rgb(bands: Pixels | None) -> Pixels | None:
    if bands is None:
        return None
    bands = bands.reshape(*bands.shape[:2], -1)
    return bands[..., [2, 1, 0, *range(3, bands.shape[2])]] if bands.shape[2] >= 3 else bands
