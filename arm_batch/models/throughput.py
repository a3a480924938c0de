"""How long a device takes for a tile of each subnet."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from arm_batch.core.tiling.grid import TileGrid, Upscaled, Windows
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import LadderFiles, Nets
from arm_batch.models.rungs.subnet import SubnetRung
from arm_batch.models.runtimes.pytorch import BATCH
from arm_batch.spec import Engine

Run = Callable[[int, Sequence[Windows]], Sequence[Upscaled]]
"""Upscales windows with the subnet of this number, as `Upscaler.run` does."""

ROUNDS = 3
ENOUGH_S = 0.4
PLENTY_S = 2.0
"""Rounds go on until there are `ROUNDS` and they took `ENOUGH_S`, or fewer that took `PLENTY_S`."""

PASSES = 2
"""Forward passes a round: what a batch costs beside them is then in the figure."""


def measure_tiles(run: Run, nets: Nets, grid: TileGrid, device: str) -> list[float]:
    """Wall seconds per tile of each subnet but interpolation, for which it says 0.

    The pixels do not matter to how long a net takes. A first pass of each subnet does not count: buffers are made
    then.

    Args:
        run: what is measured.
        nets: of the ladder.
        grid: of the ladder.
        device: ``cpu`` or ``cuda``.
    """
    seconds = [0.0]
    for subnet, net in enumerate(nets):
        if net is None:
            continue
        batch = net.at_once(device, grid.tile + 2 * net.halo) or BATCH[device]
        pixels = np.full((PASSES * batch, grid.window, grid.window, 3), 128, np.uint8)
        first, windows = Windows.within(pixels[:batch]), Windows.within(pixels)
        run(subnet, [first])
        rounds: list[float] = []
        while sum(rounds) < (PLENTY_S if len(rounds) < ROUNDS else ENOUGH_S):
            started = time.perf_counter()
            run(subnet, [windows])
            rounds.append(time.perf_counter() - started)
        seconds.append(statistics.median(rounds) / len(pixels))
    return seconds


def compare_engines(files: LadderFiles, engines: Sequence[Engine]) -> list[float]:
    """Wall seconds per tile of a ladder's largest subnet on one core, with each of these engines.

    They take turns, so that what else runs on the machine slows all of them.
    """
    ladder = files.ladder
    # Models of the user's bring a library of their own.
    largest = max(i for i, net in enumerate(files.nets) if isinstance(net, SubnetRung))
    pixels = np.full((BATCH["cpu"], ladder.grid.window, ladder.grid.window, 3), 128, np.uint8)
    windows = Windows.within(pixels)
    upscalers = [Upscaler(files.nets, ladder.grid, ladder.scale, "cpu", engine=engine) for engine in engines]
    seconds: list[list[float]] = [[] for _ in engines]
    for number in range(1 + ROUNDS):
        for upscaler, of_engine in zip(upscalers, seconds, strict=True):
            started = time.perf_counter()
            upscaler.run(largest, [windows])
            if number:
                of_engine.append((time.perf_counter() - started) / len(pixels))
    return [statistics.median(of_engine) for of_engine in seconds]


def hardware(device: str, engine: Engine) -> str:
    """What makes two devices alike, such as ``AMD EPYC 9B14, 2 cores, torch 2.9.1 fp32``.

    Args:
        device: ``cpu`` or ``cuda``.
        engine: that runs nets.
    """
    if device == "cuda":
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__} {engine.precision}"
    version = importlib.metadata.version(engine.runtime)
    return f"{_cpu_model()}, {os.cpu_count()} cores, {engine.runtime} {version} {engine.precision}"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())
