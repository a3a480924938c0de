"""Every subnet on every tile, for `allocation.py`: the slow part, kept in files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arm_batch.core.arrays import Floats, Indices, Pixels
from arm_batch.core.prediction.ladder import Subnet
from arm_batch.core.prediction.metrics import PEAK
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.evaluation.calibrate import Photographs, TileSample, sample_tiles
from arm_batch.evaluation.evaluate import read_pairs
from arm_batch.models.inference import Upscaler
from arm_batch.training.data import EXTENSIONS

SCALE = 4
GRID = TileGrid(32, 2)
TILES_PER_LAYING = 16
"""Calibration tiles of one image, size and shift: with 65 images some 8,000."""


@dataclass(frozen=True)
class Evaluation:
    """Every subnet on every tile of the evaluation images.

    Attributes:
        lr: the images.
        image: of each tile, ``(n,)``.
        errors: squared error summed over each tile and averaged over channels, SCALE px shaved off the image,
            ``(n, n_subnets)``.
        whole_errors: the same with nothing shaved.
        pixels: HR pixels of each image, shaved, ``(n_images,)``.
    """

    lr: list[Pixels]
    image: Indices
    errors: Floats
    whole_errors: Floats
    pixels: Floats

    def image_psnr(self, subnets: Indices) -> float:
        """Mean over images of the PSNR in dB."""
        errors = np.bincount(self.image, self.errors[np.arange(len(subnets)), subnets])
        return float((10 * np.log10(PEAK**2 * self.pixels / errors)).mean())

    def pooled_psnr(self, subnets: Indices) -> float:
        """PSNR in dB of the squared error of all images together."""
        error = self.errors[np.arange(len(subnets)), subnets].sum()
        return float(10 * np.log10(PEAK**2 * self.pixels.sum() / error))


def measure_images(upscaler: Upscaler, subnets: Sequence[Subnet], data: Path, cache: Path) -> Evaluation:
    """Run every subnet on every tile of the pairs in a folder, or read what was kept."""
    pairs = [pair for _, pair in read_pairs(data, SCALE)]
    lr = [pair.lr for pair in pairs]
    counts = [GRID.count(*image.shape[:2]) for image in lr]
    pixels = np.array([(p.hr.shape[0] - 2 * SCALE) * (p.hr.shape[1] - 2 * SCALE) for p in pairs], np.float64)
    if not cache.exists():
        errors: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for pair in pairs:
            windows = GRID.windows(pair.lr).take(np.arange(GRID.count(*pair.lr.shape[:2])))
            outputs = [upscaler.run(s, [windows])[0].pixels for s in range(len(subnets))]
            for kept, shave in zip(errors, (SCALE, 0), strict=True):
                kept.append(np.stack([tile_errors(output, pair.hr, shave) for output in outputs], axis=1))
        np.savez(cache, errors=np.concatenate(errors[0]), whole_errors=np.concatenate(errors[1]))
    with np.load(cache) as kept:
        return Evaluation(lr, np.repeat(np.arange(len(lr)), counts), kept["errors"], kept["whole_errors"], pixels)


def tile_errors(outputs: Pixels, hr: Pixels, shave: int) -> Floats:
    """Squared error of each tile ``(n, side, side, 3)``, summed over its pixels inside the image, ``(n,)``."""
    side = outputs.shape[1]
    inside = np.zeros(hr.shape[:2], np.float64)
    inside[shave : hr.shape[0] - shave, shave : hr.shape[1] - shave] = 1
    shape = GRID.shape(hr.shape[0] // SCALE, hr.shape[1] // SCALE)
    filled = ((0, shape[0] * side - hr.shape[0]), (0, shape[1] * side - hr.shape[1]))
    cells = TileGrid(side, 0)
    tiles = np.arange(len(outputs))
    wanted = cells.windows(np.pad(hr, (*filled, (0, 0)))).take(tiles).pixels
    mask = cells.windows(np.pad(inside, filled)[..., None]).take(tiles).pixels[..., 0]
    squares = ((outputs.astype(np.float64) - wanted) ** 2).mean(axis=3)
    return np.asarray((squares * mask).sum(axis=(1, 2)), np.float64)


def measure_calibration(upscaler: Upscaler, n_subnets: int, data: Path, cache: Path) -> TileSample:
    """Run every subnet on tiles of the photographs in a folder, or read what was kept."""
    if not cache.exists():
        paths = sorted(p for p in data.rglob("*") if p.suffix.lower() in EXTENSIONS)
        pairs = Photographs(tuple((path, (2, 4)) for path in paths)).pairs(SCALE)
        sample = sample_tiles(upscaler, n_subnets, GRID, pairs, TILES_PER_LAYING)
        np.savez(cache, features=sample.features, measured=sample.measured, mse=sample.mse, image=sample.image)
    with np.load(cache) as kept:
        return TileSample(
            features=kept["features"], measured=kept["measured"], mse=kept["mse"], image=kept["image"]
        )
