"""Scores: numbers that tell from a tile's pixels how much a costlier subnet would gain on it.

A score is computed on the whole image, so that a tile's border sees its true surroundings, and then averaged
over the tile. What lies beyond the image counts as zero: a tile that is half outside has half of the
detail to win, as its error counts only inside.

Sources: `laplacian` is the edge score of Chen et al., "ARM: Any-Time Super-Resolution Method", ECCV 2022; the
others are this package's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from arm_batch.core.arrays import Pixels, Pixels8, Singles
from arm_batch.core.tiling.detail import N_FEATURES, detail_features, grey_levels, octave_energy, tile_means
from arm_batch.core.tiling.flaws import N_FLAWS, flaw_features
from arm_batch.core.tiling.grid import Rows, TileGrid
from arm_batch.core.tiling.loglinear import predict_log_linear
from arm_batch.errors import LadderError

FITTED_ALIGNMENT = 8
"""Fitted scores average over blocks of up to 8 px, which must not straddle tiles."""

MEASURED = ("laplacian", "octave")
"""Scores that are the same for every ladder."""

FITTED = ("gain", "level")
"""Scores that a ladder's calibration fits: the squared error that the costliest subnet takes away, and the squared
error of interpolation, both predicted from `detail_features`, or from these and `flaw_features`."""

_MARGIN = 8
_BAND_ROWS = 256
_BAND_PX = 2**23


@dataclass(frozen=True)
class Score:
    """One score of a LUT.

    Attributes:
        name: one of `MEASURED` or `FITTED`.
        weights: of a fitted score, constant first; none for the others.
    """

    name: str
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in MEASURED + FITTED:
            raise LadderError(f"unknown score {self.name!r}; known: {', '.join(MEASURED + FITTED)}")
        wanted = (N_FEATURES + 1, N_FEATURES + N_FLAWS + 1) if self.name in FITTED else (0,)
        if len(self.weights) not in wanted:
            numbers = " or ".join(map(str, wanted))
            raise LadderError(f"score {self.name!r} takes {numbers} weights, not {len(self.weights)}")

    @property
    def sees_flaws(self) -> bool:
        """Whether it tells detail from what compression and sensors leave."""
        return len(self.weights) > N_FEATURES + 1

    def of_features(self, features: Singles) -> Singles:
        """A fitted score of tiles with these `tile_features`, ``(n,)``; of those, it takes what it needs."""
        return predict_log_linear(np.array(self.weights), features[:, : len(self.weights) - 1]).astype(np.float32)


def check_alignment(scores: Sequence[Score], grid: TileGrid) -> None:
    """Refuse fitted scores on tiles whose side is not a multiple of `FITTED_ALIGNMENT`; `LadderError`."""
    if any(score.name in FITTED for score in scores):
        _check_fitted(grid)


def _check_fitted(grid: TileGrid) -> None:
    if grid.tile % FITTED_ALIGNMENT:
        raise LadderError(f"fitted scores need tiles of a multiple of {FITTED_ALIGNMENT} px, not {grid.tile}")


def score_tiles(scores: Sequence[Score], image: Pixels, grid: TileGrid) -> Singles:
    """Score every tile of an image.

    Args:
        scores: what to compute.
        image: uint8 or uint16, ``(h, w, 1)`` or ``(h, w, 3)``.
        grid: how the image is cut; halos play no part.

    Returns:
        float32 ``(n_tiles, len(scores))``, tiles row by row, no value negative. `laplacian` in 0..255, the others
        in squared 8-bit grey levels.

    Raises:
        LadderError: a fitted score on tiles whose side is not a multiple of `FITTED_ALIGNMENT`.
    """
    height, width = image.shape[:2]
    return score_rows(scores, lambda start, stop: image[start:stop], height, width, grid)


def score_rows(scores: Sequence[Score], rows: Rows, height: int, width: int, grid: TileGrid) -> Singles:
    """`score_tiles` for an image that is read from top to bottom and never there as a whole.

    Args:
        scores: what to compute.
        rows: of the image, as for `score_tiles`.
        height: of the image, px.
        width: of the image, px.
        grid: how the image is cut.

    Returns:
        Exactly what `score_tiles` returns.
    """
    check_alignment(scores, grid)
    fitted = any(score.name in FITTED for score in scores)
    measured = [score.name for score in scores if score.name in MEASURED]
    flaws = any(score.sees_flaws for score in scores)
    features = [np.empty((0, N_FEATURES + N_FLAWS * flaws), np.float32)]
    means = [np.empty((0, len(measured)), np.float32)]
    for start, stop, inside in _bands(height, width, grid):
        band = rows(start, stop)
        if fitted:
            features.append(_features(band, inside, grid.tile, flaws))
        if measured:
            means.append(np.stack([_measure(name, band, inside, grid.tile) for name in measured], axis=1))
    return _in_order(scores, np.concatenate(features), dict(zip(measured, np.concatenate(means).T, strict=True)))


def _in_order(scores: Sequence[Score], features: Singles, columns: Mapping[str, Singles]) -> Singles:
    """All scores, ``(n_tiles, n_scores)``: fitted ones from features, others from their columns by name."""
    fitted = {score.name: score.of_features(features) for score in scores if score.name in FITTED}
    return np.stack([fitted[s.name] if s.name in fitted else columns[s.name] for s in scores], axis=1)


def _features(band: Pixels, inside: slice, tile: int, flaws: bool) -> Singles:
    details = detail_features(band, inside, tile)
    return np.hstack([details, flaw_features(band, inside, tile)]) if flaws else details


def tile_features(image: Pixels, grid: TileGrid) -> Singles:
    """What fitted scores are computed from: `detail_features` and `flaw_features` of every tile.

    Returns:
        float32 ``(n_tiles, N_FEATURES + N_FLAWS)``.

    Raises:
        LadderError: the side of a tile is not a multiple of `FITTED_ALIGNMENT`.
    """
    _check_fitted(grid)
    height, width = image.shape[:2]
    bands = _bands(height, width, grid)
    return np.concatenate([_features(image[start:stop], inside, grid.tile, True) for start, stop, inside in bands])


def laplacian_map(image: Pixels) -> Pixels8:
    """Absolute 3x3 Laplacian of the luma, saturated at 255.

    Args:
        image: uint8 or uint16, ``(h, w, 1)`` grey or ``(h, w, 3)`` RGB.

    Returns:
        uint8 ``(h, w)``.
    """
    grey = image[..., 0] if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if grey.dtype == np.uint16:
        grey = cv2.convertScaleAbs(grey, alpha=1 / 257)
    laplacian = cv2.Laplacian(np.ascontiguousarray(grey), cv2.CV_16S, ksize=3)
    return np.asarray(cv2.convertScaleAbs(laplacian), np.uint8)


def _measure(name: str, band: Pixels, inside: slice, tile: int) -> Singles:
    values = laplacian_map(band) if name == "laplacian" else octave_energy(grey_levels(band))
    return tile_means(values[inside], tile)


def _bands(height: int, width: int, grid: TileGrid) -> Iterator[tuple[int, int, slice]]:
    """Cut an image into bands of whole tile rows that fit into the cache, each with rows of its surroundings.

    Yields:
        The first row of the band with its margins, the one after its last, and where in it the rows of the tiles
        lie.
    """
    # Of images so wide that their rows do not fit anyway, no more than memory is to hold.
    step = grid.tile * max(1, min(_BAND_ROWS, _BAND_PX // width) // grid.tile)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        # Margins begin and end on even rows: halving must pair the same rows as in the whole image.
        start = max(0, top - top % 2 - _MARGIN)
        stop = min(height, bottom + bottom % 2 + _MARGIN)
        yield start, stop, slice(top - start, bottom - start)
