"""A ladder whose nets take no time and whose pixels tell which of them made them; and a quick process."""

from __future__ import annotations

import functools
import importlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import arm_batch.api.jobs as jobs_module
import arm_batch.execution.work as work_module
from arm_batch.core.arrays import Pixels
from arm_batch.core.large_images import LargeImages
from arm_batch.core.prediction.ladder import Subnet
from arm_batch.core.tiling.grid import Stitcher, TileGrid, Upscaled, Windows
from arm_batch.core.tiling.interpolation import interpolate_tiles
from arm_batch.models.ladder_files import LadderFiles, load_ladder
from arm_batch.spec import DEFAULT_ENGINE, Engine, PlanSpec, ShardLimits
from tests.sequences.remember import remembered, remembering
from tests.sequences.steady import one_thread

main_module = importlib.import_module("arm_batch.pipeline.upscale")
"""By name: in its package the function of that name is in its place."""

SHIPPED = "fsrcnn-x2"
"""The ladder whose name and table the toy has."""

SCALE = 2
GRID = TileGrid(8, 2)
COSTS = (1_000, 16_000, 36_000, 56_000)
SHARD_IMAGES = 2
LARGE = LargeImages(pixels=900, streamed=400, band_bytes=1)
"""Makes large images of outputs of more than 900 px."""


@functools.cache
def toy_ladder() -> LadderFiles:
    """Four subnets of few FLOPs, tiles of 8 x 8."""
    files = load_ladder(SHIPPED)
    subnets = tuple(Subnet(s.name, cost, cost) for s, cost in zip(files.ladder.subnets, COSTS, strict=True))
    return replace(files, ladder=replace(files.ladder, grid=GRID, subnets=subnets))


class ToyUpscaler:
    """Stands for `Upscaler`: repeats pixels and shifts their levels, by subnet."""

    def __init__(self, *_: object, engine: Engine = DEFAULT_ENGINE) -> None:
        assert engine == DEFAULT_ENGINE

    def run(self, subnet: int, pieces: Sequence[Windows]) -> list[Upscaled]:
        """See `Upscaler.run`."""
        return [Upscaled(_tiles(subnet, piece.pixels), 0) for piece in pieces]


def _tiles(subnet: int, windows: Pixels) -> Pixels:
    ladder = toy_ladder().ladder
    if subnet == 0:
        return interpolate_tiles(windows, ladder.grid, ladder.scale)
    repeated = windows.repeat(ladder.scale, axis=1).repeat(ladder.scale, axis=2)
    shift = np.array(37 * subnet, windows.dtype)
    shifted: Pixels = ladder.grid.crop_halo(repeated + shift, ladder.scale)
    return shifted


@functools.cache
def by_subnet(source: bytes) -> tuple[Pixels, ...] | None:
    """What each subnet everywhere makes of an image; None of bytes that are none."""
    ladder = toy_ladder().ladder
    pixels = decoded(source)
    if pixels is None:
        return None
    windows = ladder.grid.windows(pixels).pixels.reshape(
        -1, ladder.grid.window, ladder.grid.window, pixels.shape[2]
    )
    everywhere = np.arange(len(windows))
    images = []
    height, width, channels = pixels.shape
    for subnet in range(len(COSTS)):
        stitcher = Stitcher(ladder.grid, height, width, channels, pixels.dtype, ladder.scale)
        stitcher.add(everywhere, _tiles(subnet, np.ascontiguousarray(windows)))
        images.append(stitcher.image())
    return tuple(images)


@remembered
def decoded(data: bytes) -> Pixels | None:
    """A picture by Pillow, HWC; None where it is none."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError):
        return None
    return pixels[..., None] if pixels.ndim == 2 else pixels


@contextmanager
def quick(large_images: bool) -> Iterator[None]:
    """While the block runs, `arm-batch` works with the toy, on small shards, without threads and without fsync.

    Args:
        large_images: whether larger images are large images.
    """
    limits: dict[str, Any] = {"limits": ShardLimits(images=SHARD_IMAGES)}
    if large_images:
        limits["large_images"] = LARGE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main_module, "load_ladder", lambda _: toy_ladder())
        patch.setattr(main_module, "choose_engine", lambda *_: DEFAULT_ENGINE)
        patch.setattr(work_module, "Upscaler", ToyUpscaler)
        patch.setattr(jobs_module, "PlanSpec", functools.partial(PlanSpec, **limits))
        with one_thread(), remembering():
            yield


def png(seed: int, height: int, width: int, channels: int = 3) -> bytes:
    """Flat on the left, busy on the right, so that tiles differ in what they gain."""
    dice = np.random.default_rng(seed)
    across = np.linspace(0, 1, width)[None, :, None]
    levels = 60 + 100 * across + dice.normal(0, 60, (height, width, channels)) * across**2
    return cv2.imencode(".png", np.clip(levels, 0, 255).astype(np.uint8))[1].tobytes()
