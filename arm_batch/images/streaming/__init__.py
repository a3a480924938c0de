"""Images whose upscaled pixels do not fit into memory: read and written a few rows at a time."""

from __future__ import annotations

from arm_batch.images.streaming.probe import probe_size
from arm_batch.images.streaming.reader import open_strips
from arm_batch.images.streaming.strips import Strips, of_picture, read_through
from arm_batch.images.streaming.writer import Canvas, GiantWriter, canvas_of, choose_giant_format

__all__ = [
    "Canvas",
    "GiantWriter",
    "Strips",
    "canvas_of",
    "choose_giant_format",
    "of_picture",
    "open_strips",
    "probe_size",
    "read_through",
]
