"""What tiles cost in quality against whole images: `python benchmarks/borders.py DATA LADDER ...`.

DATA holds HR/ and LRx<scale>/ of the same names. Each subnet upscales all of it. Prints the mean Y PSNR of
tiled and of whole images and how far apart they are, in dB. What is left is what halos cut off.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from arm_batch.core.arrays import Pixels, Pixels8
from arm_batch.core.tiling.grid import Stitcher
from arm_batch.core.tiling.interpolation import bicubic
from arm_batch.evaluation.evaluate import measure, read_pairs, upscale_image
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import LadderFiles, load_ladder
from arm_batch.models.rungs.subnet import SubnetRung


def tiled(files: LadderFiles, upscaler: Upscaler, subnet: int, image: Pixels8) -> Pixels:
    """An image of which every tile gets the same subnet."""
    grid, scale = files.ladder.grid, files.ladder.scale
    height, width, channels = image.shape
    stitcher = Stitcher(grid, height, width, channels, image.dtype, scale)
    tiles = np.arange(grid.count(height, width))
    stitcher.add(tiles, upscaler.run(subnet, [grid.windows(image).take(tiles)])[0].pixels)
    return stitcher.image()


def whole(files: LadderFiles, subnet: int, image: Pixels8) -> Pixels:
    """The same image in one pass."""
    net = files.nets[subnet]
    if net is None:
        return np.asarray(bicubic(image[None], files.ladder.scale)[0])
    assert isinstance(net, SubnetRung)
    return upscale_image(image, net.module())


def main(data: Path, ladders: list[str]) -> None:
    """Print one line for each subnet."""
    for name in ladders:
        files = load_ladder(name)
        scale = files.ladder.scale
        upscaler = Upscaler(files.nets, files.ladder.grid, scale, "cpu")
        for index, subnet in enumerate(files.ladder.subnets):
            found = []
            for file, pair in read_pairs(data, scale):
                outputs = tiled(files, upscaler, index, pair.lr), whole(files, index, pair.lr)
                found.append([measure(output, pair.hr, scale, file).psnr_y_db for output in outputs])
            of_tiles, of_whole = np.mean(found, axis=0)
            print(
                f"{name:12} {subnet.name:12} {of_tiles:.3f} {of_whole:.3f} {of_tiles - of_whole:+.3f}", flush=True
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
