"""Telling pictures in two tones, and such as show tones by the density of dots.

Networks take dots for detail and sharpen them, which shifts the tones that they stand for; interpolation does not.
Thresholds are measured, see "Dithered pictures" in docs/benchmarks.md.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arm_batch.core.arrays import Counts, Pixels, Singles

_BLOCK = 32
"""Px, the side of blocks that are looked at by themselves: a page may show a dithered picture among text."""

_MOST_BLOCKS = 256
"""More are not looked at: of larger pictures some, spread evenly."""

_STRONG = 40.0
"""Levels of 8 bits: alternation in most blocks that no continuous tones show, however many levels there are."""

_COARSE = 24
"""Levels of 8 bits between one colour of a palette and the next: of finer ones nets keep the tones."""

_ALTERNATING = 12.0
"""Levels of 8 bits: alternation in some blocks, of pictures of coarse palettes."""

_MOST_COLOURS, _MOST_GREYS = 256, 256 // _COARSE + 1
_ROWS_AT_ONCE = 16


class DitherLook:
    """Looks at a picture that is read from top to bottom and never there as a whole.

    Args:
        height: px.
        width: px.
    """

    @classmethod
    def at(cls, pixels: Pixels) -> DitherLook:
        """One at all of a picture: uint8 or uint16 ``(h, w, c)``, c = 1 or 3."""
        look = cls(pixels.shape[0], pixels.shape[1])
        look.add(0, pixels)
        return look

    def __init__(self, height: int, width: int) -> None:
        self._tall, self._wide = min(_BLOCK, height), min(_BLOCK, width)
        rows, columns = -(-height // _BLOCK), -(-width // _BLOCK)
        chosen = np.linspace(0, rows * columns - 1, min(rows * columns, _MOST_BLOCKS)).astype(np.intp)
        self._tops = np.minimum(chosen // columns * _BLOCK, height - self._tall)
        self._lefts = np.minimum(chosen % columns * _BLOCK, width - self._wide)
        self._blocks: Pixels | None = None
        self._colours: _Colours | None = None
        self._seen = 0

    def add(self, top: int, rows: Pixels) -> None:
        """Rows ``(n, w, c)`` from that one on: the next ones, of which the first may have been there before."""
        if self._blocks is None:
            shape = (len(self._tops), self._tall, self._wide, rows.shape[2])
            self._blocks, self._colours = np.zeros(shape, rows.dtype), _Colours(rows.shape[2])
        assert self._colours is not None
        bottom = top + len(rows)
        for block in np.flatnonzero((self._tops < bottom) & (self._tops + self._tall > top)):
            first, left = self._tops[block], self._lefts[block]
            start, stop = max(first, top), min(first + self._tall, bottom)
            part = rows[start - top : stop - top, left : left + self._wide]
            self._blocks[block, start - first : stop - first] = part
        self._colours.add(rows[self._seen - top :])
        self._seen = bottom

    def is_dithered(self) -> bool:
        """Whether it has just two tones, or shows its tones by dots, once all rows were there."""
        assert self._blocks is not None
        assert self._colours is not None
        alternation = _alternation(self._blocks)
        if np.median(alternation) > _STRONG:
            return True
        colours, counts = self._colours.found(self._blocks.dtype)
        if len(colours) <= 2:
            return len(colours) == 2
        return bool(np.percentile(alternation, 95) > _ALTERNATING and _spacing(colours, counts) >= _COARSE)


def _alternation(blocks: Pixels) -> Singles:
    """For each block how far pixels stand out from both neighbours across, or both down, in the mean."""
    if blocks.dtype == np.uint16:
        blocks = blocks >> 8
    signed = blocks.astype(np.int16)
    both = _standing_out(signed) + _standing_out(signed.transpose(0, 2, 1, 3))
    return np.asarray(both / 2, np.float32)


def _standing_out(blocks: NDArray[np.int16]) -> Singles:
    steps = np.diff(blocks, axis=1)
    before, after = steps[:, :-1], steps[:, 1:]
    # A step up and one down again, or the other way round.
    out = np.where((before > 0) != (after > 0), np.minimum(np.abs(before), np.abs(after)), 0)
    if not out.size:
        return np.zeros(len(blocks), np.float32)
    return np.asarray(out.reshape(len(blocks), -1).mean(axis=1), np.float32)


class _Colours:
    """The colours of a picture and how many pixels have each; none of one that has many."""

    def __init__(self, channels: int) -> None:
        self._channels, self._counts, self._many = channels, Counter[int](), False

    def add(self, rows: Pixels) -> None:
        """Further rows of it."""
        for top in range(0, len(rows), _ROWS_AT_ONCE):
            if self._many:
                return
            self._count(rows[top : top + _ROWS_AT_ONCE].reshape(-1, self._channels))
            several = len(self._counts) > _MOST_GREYS
            self._many = len(self._counts) > _MOST_COLOURS or (several and all(map(_is_grey, self._counts)))

    def found(self, dtype: np.dtype[Any]) -> tuple[Singles, Counts]:
        """They in levels of 8 bits ``(n, c)``, given what pixels are of, and how many of each."""
        if self._many:
            return np.empty((0, self._channels), np.float32), np.empty(0, np.int64)
        colours = np.array(
            [[code >> 16 * band & 0xFFFF for band in range(self._channels)] for code in self._counts]
        )
        return _levels(colours.astype(dtype)), np.array(list(self._counts.values()), np.int64)

    def _count(self, pixels: Pixels) -> None:
        if self._channels == 1:
            seen = np.bincount(pixels[:, 0])
            codes = np.flatnonzero(seen)
            times = seen[codes]
        else:
            whole = pixels.astype(np.uint64) @ np.array([1, 1 << 16, 1 << 32], np.uint64)
            codes, times = np.unique(whole, return_counts=True)
        self._counts.update(dict(zip(codes.tolist(), times.tolist(), strict=True)))


def _is_grey(code: int) -> bool:
    """Of one channel all are."""
    return code >> 16 == 0 or code == (code & 0xFFFF) * 0x1_0001_0001


def _spacing(colours: Singles, counts: Counts) -> float:
    """How far the nearest other colour is, for most pixels at least."""
    apart = np.abs(colours[:, None] - colours[None]).max(axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest = apart.min(axis=1)
    order = np.argsort(nearest)
    half = np.searchsorted(np.cumsum(counts[order]), counts.sum() / 2)
    return float(nearest[order][half])


def _levels(values: NDArray[np.generic]) -> Singles:
    """Of 8 bits."""
    levels = values.astype(np.float32)
    return levels / np.float32(257) if values.dtype == np.uint16 else levels
