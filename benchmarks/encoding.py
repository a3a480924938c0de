"""What does writing cost in each format, in time and in bytes?

    python benchmarks/encoding.py --val DIR

DIR holds LR photographs (Set14's LRx4, say). The costliest subnet of `fsrcnn-x4` upscales them, and every encoder
gets the same outputs, on one core. PSNR is that of what lossy formats give back.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from arm_batch.core.arrays import Pixels
from arm_batch.core.prediction.metrics import psnr
from arm_batch.core.tiling.grid import Stitcher
from arm_batch.images import Picture, decode, encode
from arm_batch.images.vips import from_array
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import load_ladder

ROUNDS = 3

Encoder = Callable[[Pixels], bytes]


@dataclass(frozen=True)
class Candidate:
    """One way to write an image."""

    name: str
    encode: Encoder


def by_vips(saver: str, **options: Any) -> Encoder:
    """By a saver of libvips with these options."""
    return lambda pixels: bytes(getattr(from_array(pixels, "rgb"), f"{saver}_buffer")(**options))


def by_opencv(extension: str, *options: int) -> Encoder:
    """By OpenCV with these parameters."""

    def write(pixels: Pixels) -> bytes:
        return cv2.imencode(extension, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)[1].tobytes()

    return write


def ours(format: str) -> Encoder:
    """As a job writes it."""
    return lambda pixels: encode(Picture.plain(pixels), format, 95)


def candidates() -> list[Candidate]:
    """What is compared: first what jobs use, then what they do not."""
    rle = (
        cv2.IMWRITE_PNG_STRATEGY,
        cv2.IMWRITE_PNG_STRATEGY_RLE,
        cv2.IMWRITE_PNG_FILTER,
        cv2.IMWRITE_PNG_FILTER_AVG,
    )
    found = [Candidate(f"{format}, as used", ours(format)) for format in ("png", "tiff", "jpeg", "webp", "avif")]
    found.append(Candidate("png, opencv 1 rle", by_opencv(".png", cv2.IMWRITE_PNG_COMPRESSION, 1, *rle)))
    for level in (1, 2, 3, 6):
        for filter in ("sub", "avg", "paeth"):
            save = by_vips("pngsave", compression=level, filter=filter, keep="none")
            found.append(Candidate(f"png, {level} {filter}", save))
    for level in (1, 2, 6):
        save = by_vips("tiffsave", compression="deflate", level=level, predictor="horizontal")
        found.append(Candidate(f"tiff, deflate {level} predicted", save))
    found.append(
        Candidate("tiff, deflate 1", by_vips("tiffsave", compression="deflate", level=1, predictor="none"))
    )
    found.append(Candidate("tiff, lzw predicted", by_vips("tiffsave", compression="lzw", predictor="horizontal")))
    found.append(Candidate("jpeg, opencv", by_opencv(".jpg", cv2.IMWRITE_JPEG_QUALITY, 95)))
    found.append(Candidate("jpeg, 4:2:0", by_vips("jpegsave", Q=95, subsample_mode="on")))
    found.append(Candidate("webp, opencv", by_opencv(".webp", cv2.IMWRITE_WEBP_QUALITY, 95)))
    for effort in (0, 1, 2, 4):
        found.append(Candidate(f"webp, effort {effort}", by_vips("webpsave", Q=95, effort=effort)))
    for speed in (10, 8):
        save = by_opencv(".avif", cv2.IMWRITE_AVIF_QUALITY, 95, cv2.IMWRITE_AVIF_SPEED, speed)
        found.append(Candidate(f"avif, opencv speed {speed}", save))
    for effort in (0, 1):
        save = by_vips("heifsave", compression="av1", Q=95, effort=effort, subsample_mode="on")
        found.append(Candidate(f"avif, 4:2:0, effort {effort}", save))
    return found


def upscaled(folder: Path) -> list[Pixels]:
    """The photographs of a folder by the costliest subnet."""
    files = load_ladder("fsrcnn-x4")
    grid, scale = files.ladder.grid, files.ladder.scale
    upscaler = Upscaler(files.nets, grid, scale, "cpu")
    outputs = []
    for path in sorted(folder.glob("*.png")):
        pixels = decode(path.read_bytes()).pixels
        if pixels.shape[2] == 3:
            height, width = pixels.shape[:2]
            tiles = np.arange(grid.count(height, width))
            stitcher = Stitcher(grid, height, width, 3, pixels.dtype, scale)
            stitcher.add(tiles, upscaler.run(len(files.nets) - 1, [grid.windows(pixels).take(tiles)])[0].pixels)
            outputs.append(np.ascontiguousarray(stitcher.image()))
    return outputs


def report(candidate: Candidate, images: Sequence[Pixels]) -> str:
    """One line of the table."""
    pixels = sum(image.shape[0] * image.shape[1] for image in images)
    seconds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        encoded = [candidate.encode(image) for image in images]
        seconds.append(time.process_time() - started)
    size = sum(map(len, encoded)) / pixels
    errors = [psnr(image, decode(data).pixels) for image, data in zip(images, encoded, strict=True)]
    quality = f"{np.mean(errors):7.2f} dB" if np.isfinite(errors).all() else "  lossless"
    return f"{candidate.name:26} {pixels / min(seconds) / 1e6:7.1f} Mpx/s {size:7.3f} bytes/px {quality}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--val", type=Path, required=True)
    images = upscaled(parser.parse_args().val)
    os.sched_setaffinity(0, {0})
    cv2.setNumThreads(1)
    for candidate in candidates():
        print(report(candidate, images), flush=True)


if __name__ == "__main__":
    main()
