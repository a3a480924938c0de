"""What nets lose when they multiply in bfloat16."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np

from arm_batch.core.arrays import Floats
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.evaluation.calibrate import Photographs, sample_tiles
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import Nets
from arm_batch.spec import Engine, Precision

IMAGES = 16
"""The loss is the same everywhere, and a processor without bfloat16 takes ten times as long as for float32."""

TILES_PER_LAYING = 4


def bf16_loss_db(nets: Nets, grid: TileGrid, scale: int, photographs: Photographs) -> tuple[float, ...]:
    """PSNR of float32 less that of bfloat16, of the pooled error of each net on tiles of some photographs, dB.

    Args:
        nets: of a ladder; interpolation, the first, has no precision, and none in what is returned.
        grid: the tiling.
        scale: upscaling factor.
        photographs: of which `IMAGES` are looked at.

    Raises:
        InputError: an image cannot be read, or none is as large as a tile.
    """
    images = photographs.images[:: max(1, -(-len(photographs.images) // IMAGES))]
    few = replace(photographs, images=images)

    def errors(precision: Precision) -> Floats:
        upscaler = Upscaler(nets, grid, scale, "cpu", engine=Engine("torch", precision))
        mse = sample_tiles(upscaler, len(nets), grid, few.pairs(scale), TILES_PER_LAYING).mse
        pooled: Floats = mse[:, 1:].mean(axis=0)
        return pooled

    exact, rounded = (errors(precision) for precision in get_args(Precision))
    return tuple(np.round(10 * np.log10(rounded / exact), 4).tolist())
