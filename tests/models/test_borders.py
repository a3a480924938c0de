"""At the border of an image tiles come out as the whole image does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from arm_batch.core.arrays import Pixels
from arm_batch.core.tiling.grid import Stitcher, TileGrid
from arm_batch.models.backbones.registry import BACKBONES, SCALES, get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.inference import Upscaler
from arm_batch.models.rungs.subnet import SubnetRung
from arm_batch.spec import Engine, RuntimeName
from tests.image_files import noise
from tests.models.runtimes.test_runtimes import RUNTIMES

HALO = {"fsrcnn": 8, "plain": 10, "carn": 24, "srresnet": 40, "deep": 20}
"""More than any output pixel sees, LR px."""

SIZES = ((3, 5), (50, 37))
"""Smaller than a tile, and of several with last ones that are not whole, LR px."""


def tiled(upscaler: Upscaler, grid: TileGrid, image: Pixels, scale: int) -> Pixels:
    stitcher = Stitcher(grid, len(image), image.shape[1], 3, image.dtype, scale)
    tiles = np.arange(grid.count(*image.shape[:2]))
    stitcher.add(tiles, upscaler.run(1, [grid.windows(image).take(tiles)])[0].pixels)
    return stitcher.image()


@pytest.mark.parametrize("runtime", ["torch", *RUNTIMES])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_tiles_give_what_the_whole_image_gives(name: str, scale: int, runtime: RuntimeName) -> None:
    backbone = get_backbone(name)
    torch.manual_seed(0)
    supernet = Supernet(backbone, scale).eval()
    width, grid = backbone.widths[0], TileGrid(16, HALO[name])
    upscaler = Upscaler((None, SubnetRung(supernet, width, grid.halo)), grid, scale, "cpu", engine=Engine(runtime))
    for height, width_px in SIZES:
        image = noise(1, height, width_px) // 2 + 64
        with torch.inference_mode():
            nchw = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
            whole = supernet.subnet(width)(nchw)[0].permute(1, 2, 0).clamp(0, 1).mul(255).round().numpy()
        apart = np.abs(tiled(upscaler, grid, image, scale).astype(int) - whole.astype(int))
        # What lies halfway between two levels may be rounded either way.
        assert apart.max() <= 1
        assert (apart > 0).mean() < 0.01
