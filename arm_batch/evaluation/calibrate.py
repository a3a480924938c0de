"""Building the LUT of a ladder from images that its training has not seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arm_batch.core.arrays import Floats, Indices, Pixels, Pixels8, Singles
from arm_batch.core.prediction.calibrate_lut import N_BINS, MeasuredTiles, tabulate
from arm_batch.core.prediction.lut import Lut
from arm_batch.core.tiling.detail import N_FEATURES
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.core.tiling.loglinear import fit_log_linear
from arm_batch.core.tiling.scores import FITTED, MEASURED, Score, score_tiles, tile_features
from arm_batch.errors import InputError, UsageError
from arm_batch.models.inference import Upscaler
from arm_batch.training.choices import DegradeName
from arm_batch.training.data import Pair, load_pair
from arm_batch.training.degradation import RECIPES, degrade

DEFAULT_SCORES = ("gain", "level")

DEFAULT_REDUCTIONS = "2,4"
"""Of photographs, as `arm_batch.cli` reads it."""

DEGRADED_TIMES = 3
"""How often an image is degraded at each of its sizes."""


@dataclass(frozen=True, kw_only=True)
class TileSample:
    """Tiles with all that a table may be built from.

    Attributes:
        features: `tile_features`, ``(n, N_FEATURES + N_FLAWS)``.
        measured: the scores of `MEASURED`, ``(n, len(MEASURED))``.
        mse: mean squared error of every subnet, ``(n, n_subnets)``.
        image: number of the image, ``(n,)``.
    """

    features: Singles
    measured: Singles
    mse: Floats
    image: Indices


@dataclass(frozen=True)
class Photographs:
    """What a table is measured on.

    Attributes:
        images: and by how much each is reduced before it counts as an HR image; archives hold photographs as they
            come and such as were reduced, which are sharper.
        degraded: how LR images are made beside clean ones: each `DEGRADED_TIMES`, in ways of its own.
    """

    images: tuple[tuple[Path, tuple[int, ...]], ...]
    degraded: DegradeName = "none"

    @property
    def paths(self) -> list[Path]:
        """Of the images."""
        return [path for path, _ in self.images]

    def pairs(self, scale: int) -> Iterator[tuple[int, Pair]]:
        """Each image at each size, with its number; the same ones every time."""
        recipe = RECIPES[self.degraded]
        for number, (path, reductions) in enumerate(self.images):
            rng = np.random.default_rng(number)
            for reduction in reductions:
                pair = load_pair(path, scale, reduction)
                yield number, pair
                if recipe is not None:
                    for _ in range(DEGRADED_TIMES):
                        yield number, Pair(degrade(pair.hr, scale, recipe, rng), pair.hr)


TILES_PER_LAYING = 128
"""Of one image, size and shift: many images tell more than many tiles of one."""


def sample_tiles(
    upscaler: Upscaler,
    n_subnets: int,
    grid: TileGrid,
    pairs: Iterable[tuple[int, Pair]],
    most: int = TILES_PER_LAYING,
) -> TileSample:
    """Measure every subnet on whole tiles of `pairs`, which come with the number of their image.

    Tiles are cut, run and scored as the job does it; the grid is laid four times, shifted by half a tile, to
    have more of them. Where one laying has more than `most`, evenly spaced ones are taken.

    Raises:
        InputError: no image is as large as a tile.
        LadderError: tiles are of a side that fitted scores cannot have.
    """
    samples = []
    for number, pair in pairs:
        for top in (0, grid.tile // 2):
            for left in (0, grid.tile // 2):
                whole = _whole_tiles(pair, grid, top, left)
                if whole.lr.size:
                    samples.append(_measure(upscaler, n_subnets, grid, whole, number, most))
    if not samples:
        raise InputError(f"no image holds a tile of {grid.tile} px: add larger ones")
    return joined(samples)


def score_names(text: str) -> tuple[str, ...]:
    """One or two scores, such as ``gain,level``; `UsageError` says what there is.

    >>> score_names("octave")
    ('octave',)
    """
    names, known = tuple(text.split(",")), MEASURED + FITTED
    if len(names) > 2 or len(set(names)) < len(names) or not set(names) <= set(known):
        raise UsageError(f"scores are one of {', '.join(known)}, or two with a comma, not {text!r}")
    return names


def build_lut(
    sample: TileSample,
    scores: Sequence[str],
    provenance: dict[str, str],
    n_bins: int = N_BINS,
    flaws: bool = False,
) -> Lut:
    """Average measured tiles per bin of one or two scores.

    Args:
        sample: the tiles.
        scores: one or two names, see `score_names`; fitted ones are fitted here.
        provenance: what the table is built from.
        n_bins: of the first score.
        flaws: whether fitted scores tell detail from what compression and sensors leave.

    Raises:
        InputError: there are too few tiles.
    """
    fitted = tuple(_fit(name, sample, flaws) for name in scores)
    columns = [
        score.of_features(sample.features)
        if score.name in FITTED
        else sample.measured[:, MEASURED.index(score.name)]
        for score in fitted
    ]
    measured = MeasuredTiles(np.stack(columns, axis=1), sample.mse, sample.image)
    return tabulate(fitted, measured, provenance, n_bins)


def _fit(name: str, sample: TileSample, flaws: bool) -> Score:
    if name not in FITTED:
        return Score(name)
    interpolation = sample.mse[:, 0]
    target = interpolation if name == "level" else interpolation - sample.mse[:, -1]
    features = sample.features if flaws else sample.features[:, :N_FEATURES]
    return Score(name, tuple(fit_log_linear(features, target).tolist()))


def _whole_tiles(pair: Pair, grid: TileGrid, top: int, left: int) -> Pair:
    """The part of a pair that a grid beginning at (`top`, `left`) covers with whole tiles; maybe none."""
    scale = pair.hr.shape[0] // pair.lr.shape[0]
    height, width = (
        (side - offset) // grid.tile * grid.tile for side, offset in zip(pair.lr.shape, (top, left), strict=False)
    )
    lr = pair.lr[top : top + height, left : left + width]
    return Pair(lr, pair.hr[scale * top : scale * (top + height), scale * left : scale * (left + width)])


def _measure(upscaler: Upscaler, n_subnets: int, grid: TileGrid, pair: Pair, number: int, most: int) -> TileSample:
    scale = pair.hr.shape[0] // pair.lr.shape[0]
    count = grid.count(*pair.lr.shape[:2])
    tiles = np.arange(min(count, most)) * count // min(count, most)
    windows = grid.windows(pair.lr).take(tiles)
    wanted = TileGrid(grid.tile * scale, 0).windows(pair.hr).take(tiles).pixels
    outputs = [upscaler.run(s, [windows])[0].pixels for s in range(n_subnets)]
    return judged(pair.lr, grid, tiles, outputs, wanted, number)


def judged(
    lr: Pixels8, grid: TileGrid, tiles: Indices, outputs: Sequence[Pixels], wanted: Pixels, number: int
) -> TileSample:
    """Some tiles of an image, by how far each rung's output is from what is wanted.

    Args:
        lr: the image.
        grid: that cuts it.
        tiles: which of them.
        outputs: of each rung, ``(n, scale * tile, scale * tile, 3)``.
        wanted: the same.
        number: of the image.
    """
    features = tile_features(lr, grid)[tiles]
    measured = score_tiles([Score(name) for name in MEASURED], lr, grid)[tiles]
    errors = [((output - wanted.astype(np.float64)) ** 2).mean(axis=(1, 2, 3)) for output in outputs]
    return TileSample(
        features=features,
        measured=measured,
        mse=np.stack(errors, axis=1),
        image=np.full(len(tiles), number, np.intp),
    )


def joined(samples: Sequence[TileSample]) -> TileSample:
    """All tiles of several samples, of at least one."""
    return TileSample(
        features=np.concatenate([s.features for s in samples]),
        measured=np.concatenate([s.measured for s in samples]),
        mse=np.concatenate([s.mse for s in samples]),
        image=np.concatenate([s.image for s in samples]),
    )
