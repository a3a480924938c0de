"""Images whose upscaled pixels do not fit into memory: read and written a few rows at a time."""

from __future__ import annotations

from arm_batch.store.giants.limits import Giants
from arm_batch.store.giants.probe import probe_size
from arm_batch.store.giants.reader import open_strips
from arm_batch.store.giants.strips import Strips, read_through
from arm_batch.store.giants.writer import GiantWriter, choose_giant_format

__all__ = ["GiantWriter", "Giants", "Strips", "choose_giant_format", "open_strips", "probe_size", "read_through"]
