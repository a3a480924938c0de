"""Measuring rungs by how close they come to the costliest one: on an archive itself, whose truth nobody has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from arm_batch.core.arrays import Pixels8
from arm_batch.core.image_options import DEFAULT_READING
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.errors import ImageError, InputError
from arm_batch.evaluation.calibrate import TILES_PER_LAYING, TileSample, joined, judged
from arm_batch.images import decode
from arm_batch.models.inference import Upscaler
from arm_batch.training.data import EXTENSIONS

CLOSEST_MSE = 1.0
"""Squared grey levels. What is closer to the costliest rung than a level counts as a level away (48 dB): nobody
sees less, and a logarithm of nothing would be worth any price."""

FLOPS = 6e13
"""That a calibration may take with all its pictures, about: some minutes of a few cores."""

FEWEST_TILES = 2
"""Of a picture, whatever they take."""


def find_pictures(folder: Path, most: int) -> list[Path]:
    """At most so many images below a folder, evenly spread over the sorted paths.

    Raises:
        InputError: there are none.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS)
    if not paths:
        raise InputError(f"no images below {folder}")
    count = min(most, len(paths))
    return [paths[i * len(paths) // count] for i in range(count)]


def read_pictures(paths: Sequence[Path]) -> Iterator[Pixels8]:
    """The images that can be read, as 8-bit RGB."""
    for path in paths:
        try:
            pixels = decode(path.read_bytes(), DEFAULT_READING).pixels
        except (ImageError, OSError):
            # The run itself says of each what is wrong with it.
            continue
        levels = pixels if pixels.dtype == np.uint8 else (pixels // 257).astype(np.uint8)
        yield np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3)))


def tiles_per_picture(flops_per_tile: int, pictures: int) -> int:
    """How many tiles of each picture are run, so that all of it takes about `FLOPS`."""
    return int(np.clip(FLOPS / (flops_per_tile * pictures), FEWEST_TILES, TILES_PER_LAYING))


def sample_closeness(
    upscaler: Upscaler, n_rungs: int, grid: TileGrid, pictures: Iterable[Pixels8], most: int
) -> TileSample:
    """Run all rungs on whole tiles of pictures, and tell how far each is from the last one.

    Args:
        upscaler: of all rungs.
        n_rungs: in the ladder.
        grid: of the ladder.
        pictures: from the archive.
        most: tiles of each picture; evenly spaced ones are taken.

    Raises:
        InputError: no picture is as large as a tile.
    """
    samples = []
    for number, picture in enumerate(pictures):
        height, width = (side // grid.tile * grid.tile for side in picture.shape[:2])
        if not height or not width:
            continue
        lr = picture[:height, :width]
        count = grid.count(height, width)
        tiles = np.arange(min(count, most)) * count // min(count, most)
        windows = grid.windows(lr).take(tiles)
        outputs = [upscaler.run(rung, [windows])[0].pixels for rung in range(n_rungs)]
        found = judged(lr, grid, tiles, outputs, outputs[-1], number)
        samples.append(replace(found, mse=np.maximum(found.mse, CLOSEST_MSE)))
    if not samples:
        raise InputError(f"no image holds a tile of {grid.tile} px: add larger ones")
    return joined(samples)
