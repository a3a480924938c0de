"""Images whose upscaled pixels do not fit into memory: read and written a few rows at a time."""

from __future__ import annotations

from arm_batch.images.streaming.probe import probe_size
from arm_batch.images.streaming.reader import open_strips
from arm_batch.images.streaming.strips import Strips, of_picture, read_through
from arm_batch.images.streaming.writer import Canvas, StripWriter, canvas_of, choose_strip_format

__all__ = [
    "Canvas",
    "StripWriter",
    "Strips",
    "canvas_of",
    "choose_strip_format",
    "of_picture",
    "open_strips",
    "probe_size",
    "read_through",
]
