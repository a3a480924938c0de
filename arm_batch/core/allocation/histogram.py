"""Counting an archive: tiles per class of images and score bin, which is all that an allocation needs to know.

Classes tell images apart by the squared error that interpolation is predicted to leave in them. Classes times bins
are the cells of an archive, numbered through, the bin running fastest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from arm_batch.core.allocation.measures import Objective
from arm_batch.core.arrays import Counts, Indices
from arm_batch.core.prediction.lut import Lut

CLASSES_PER_OCTAVE = 4
"""Images of one class differ in their error by at most 0.75 dB."""

_LOWEST_OCTAVE = -4
_HIGHEST_OCTAVE = 32
"""From a blank tile to 10**5 noisy ones."""

N_CLASSES = CLASSES_PER_OCTAVE * (_HIGHEST_OCTAVE - _LOWEST_OCTAVE)


@dataclass(frozen=True)
class Histogram:
    """What an allocation needs to know of an archive, or of a part of it; two parts add up.

    Attributes:
        tiles: per class and bin, ``(n_classes, n_bins)``.
        images: per class, ``(n_classes,)``.
        pixels: LR pixels per class, ``(n_classes,)``.
    """

    tiles: Counts
    images: Counts
    pixels: Counts

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(self.tiles + other.tiles, self.images + other.images, self.pixels + other.pixels)

    @property
    def is_sound(self) -> bool:
        """Whether the classes that have images are those that have tiles and pixels."""
        there = self.images > 0
        return bool(((self.pixels > 0) == there).all() and ((self.tiles.sum(axis=1) > 0) == there).all())

    @staticmethod
    def empty(objective: Objective, lut: Lut) -> Histogram:
        """Of no image at all."""
        return gather((), objective, lut)


@dataclass(frozen=True)
class ShardHistogram:
    """The histogram of a few images: of nearly all cells they have no tile.

    Attributes:
        cells: that have tiles, ascending, ``(n,)``.
        tiles: of each, ``(n,)``.
        classes: that have images, ascending, ``(m,)``.
        images: of each, ``(m,)``.
        pixels: LR pixels of each, ``(m,)``.
    """

    cells: Counts
    tiles: Counts
    classes: Counts
    images: Counts
    pixels: Counts

    @staticmethod
    def of(histogram: Histogram) -> ShardHistogram:
        """What of a histogram is not zero."""
        flat = histogram.tiles.ravel()
        cells, classes = np.flatnonzero(flat), np.flatnonzero(histogram.images)
        return ShardHistogram(
            cells=cells,
            tiles=flat[cells],
            classes=classes,
            images=histogram.images[classes],
            pixels=histogram.pixels[classes],
        )

    def lies_in(self, n_classes: int, n_bins: int) -> bool:
        """Whether it can be of an archive with so many classes and bins, and is whole."""
        kinds = ((self.cells, n_classes * n_bins), (self.classes, n_classes))
        ascend = all((np.diff(places) > 0).all() and (places < end).all() for places, end in kinds)
        return bool(
            ascend
            and self.cells.shape == self.tiles.shape
            and self.classes.shape == self.images.shape == self.pixels.shape
        )


def gather(parts: Iterable[ShardHistogram], objective: Objective, lut: Lut) -> Histogram:
    """The histogram of all parts together."""
    return add_up(parts, class_count(objective), lut.n_bins)


def add_up(parts: Iterable[ShardHistogram], n_classes: int, n_bins: int) -> Histogram:
    """The histogram of all parts together, which must lie in so many classes and bins."""
    histogram = Histogram(
        np.zeros((n_classes, n_bins), np.int64), np.zeros(n_classes, np.int64), np.zeros(n_classes, np.int64)
    )
    flat = histogram.tiles.reshape(-1)
    for part in parts:
        flat[part.cells] += part.tiles
        histogram.images[part.classes] += part.images
        histogram.pixels[part.classes] += part.pixels
    return histogram


def class_count(objective: Objective) -> int:
    """Number of classes that an objective tells images apart by."""
    return N_CLASSES if objective == "image-psnr" else 1


def image_class(objective: Objective, lut: Lut, bins: Indices) -> int:
    """The class of an image from the bins of its tiles, ``(n_tiles,)``.

    It follows from the predicted squared error of its interpolation, summed without rounding in between, so
    that every machine finds the same.
    """
    if objective != "image-psnr":
        return 0
    counts = np.bincount(bins, minlength=lut.n_bins)
    error = math.fsum((counts * lut.mse[:, 0]).tolist())
    if error <= 0:
        return 0
    place = math.floor(CLASSES_PER_OCTAVE * (math.log2(error) - _LOWEST_OCTAVE))
    return min(max(place, 0), N_CLASSES - 1)


def take_histogram(objective: Objective, lut: Lut, images: Iterable[tuple[Indices, int]]) -> Histogram:
    """Count images, each given by the bins of its tiles, ``(n_tiles,)``, and its LR pixels."""
    histogram = Histogram.empty(objective, lut)
    for bins, pixels in images:
        group = image_class(objective, lut, bins)
        histogram.tiles[group] += np.bincount(bins, minlength=lut.n_bins)
        histogram.images[group] += 1
        histogram.pixels[group] += pixels
    return histogram


def cells_of(objective: Objective, lut: Lut, bins: Indices) -> Indices:
    """The cell of each tile of an image, ``(n_tiles,)``, from their bins, ``(n_tiles,)``."""
    return image_class(objective, lut, bins) * lut.n_bins + bins
