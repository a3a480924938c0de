"""Rows that come in strips of their own, handed out as they are asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from arm_batch.core.arrays import Pixels


class Window:
    """Keeps of an image that is read strip by strip what may still be asked for; see `core.tiling.grid.Rows`.

    Args:
        read: gives rows ``[start, stop)``, called once for each strip, in order.
        height: of the image.
        strip: rows of a strip; the last one may have fewer.
    """

    def __init__(self, read: Callable[[int, int], Pixels], height: int, strip: int) -> None:
        self._read, self._height, self._strip = read, height, strip
        self._kept: list[Pixels] = []
        self._start = self._stop = 0

    def __call__(self, start: int, stop: int) -> Pixels:
        """Rows ``[start, stop)``; `ValueError` for rows that were let go."""
        if not self._start <= start < stop <= self._height:
            raise ValueError(f"rows {start} to {stop} of {self._height} were asked for after {self._start}")
        while self._stop < stop:
            bottom = min(self._stop + self._strip, self._height)
            self._kept.append(self._read(self._stop, bottom))
            self._stop = bottom
            self._let_go(start)
        self._let_go(start)
        offset = start - self._start
        if len(self._kept) == 1:
            return self._kept[0][offset : offset + stop - start]
        return np.concatenate(self._kept)[offset : offset + stop - start]

    def _let_go(self, start: int) -> None:
        while self._kept and self._start + len(self._kept[0]) <= start:
            self._start += len(self._kept.pop(0))
