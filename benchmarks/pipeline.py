"""How fast are the subnets, how near is the pipeline to the sum of its parts, and what does batching buy?

    python benchmarks/pipeline.py

Everything is measured side by side in this one run; quote the ratios, not the seconds. The images are the
photographs that scikit-image ships, several times over.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib import resources
from pathlib import Path

import numpy as np
import ray
import torch

from arm_batch import pipeline
from arm_batch.core.allocation.apportion import ShardAllocation, assign
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.allocation.knapsack import allocate
from arm_batch.core.arrays import Indices, Scores
from arm_batch.core.image_options import Writing
from arm_batch.core.tiling.grid import Stitcher, Windows
from arm_batch.core.tiling.scores import laplacian_map
from arm_batch.execution.ray.cluster import ENVIRONMENT
from arm_batch.images import Picture, decode, encode
from arm_batch.models.backbones.fsrcnn import Fsrcnn
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import LadderFiles, load_ladder
from arm_batch.models.rungs.subnet import SubnetRung
from arm_batch.report import RunSummary
from arm_batch.spec import JobSpec, PlanSpec

LADDER = "fsrcnn-x4"
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "rocket.jpg")
COPIES = 24
BUDGET = "60%"
TILES = 512
LOOP_IMAGES = 2
"""Images for the one-tile-at-a-time loop, which is too slow for all of them."""


def main() -> None:
    """Print every figure."""
    files = load_ladder(LADDER)
    upscaler = Upscaler(files.nets, files.ladder.grid, files.ladder.scale, "cpu")
    measure_subnets(files, upscaler)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "archive"
        names = make_archive(archive, COPIES)
        make_archive(Path(folder) / "few", 2)
        cores = os.cpu_count() or 1
        os.environ.update(ENVIRONMENT)
        ray.init(
            address="local",
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            num_cpus=cores,
        )
        # Once for nothing: the worker processes start and import; "Ray's start aside" means them too.
        run_pipeline(Path(folder) / "few", Path(folder) / "warm-up")
        run = run_pipeline(archive, Path(folder) / "out")
        ray.shutdown()
        parts = measure_parts(files, upscaler, archive, names)
        report_pipeline(run, parts, cores, parts_at_once(archive, names, cores))
        report_loop(files, upscaler, archive, names)


def measure_subnets(files: LadderFiles, upscaler: Upscaler) -> None:
    """Tiles per second and executed GFLOP/s of each subnet on one core."""
    window = files.ladder.grid.window
    pixels = np.random.default_rng(0).integers(0, 256, (TILES, window, window, 3)).astype(np.uint8)
    windows = Windows.within(pixels)
    print(f"subnets, one core, batches of {TILES} tiles of {files.ladder.grid.tile} px (+ halo):")
    for index, subnet in enumerate(files.ladder.subnets):
        upscaler.run(index, [windows])
        seconds = min(timed(partial(upscaler.run, index, [windows])) for _ in range(3))
        rate, gflops = TILES / seconds, TILES * subnet.flops / seconds / 1e9
        print(f"  {subnet.name:12} {rate:8.0f} tiles/s  {gflops:6.1f} GFLOP/s (executed)")


def make_archive(folder: Path, duplicates: int) -> list[str]:
    """Copies of the photographs under several names."""
    folder.mkdir()
    names = []
    for copy in range(duplicates):
        for name in PHOTOGRAPHS:
            data = (resources.files("skimage.data") / name).read_bytes()
            names.append(f"{copy:02d}-{name}")
            (folder / names[-1]).write_bytes(data)
    return sorted(names)


def run_pipeline(archive: Path, out: Path) -> RunSummary:
    """The main job on the Ray that this process is connected to."""
    plan = PlanSpec(input=str(archive), ladder=LADDER, scale=4, executor="ray", writing=Writing("png"))
    spec = JobSpec(plan=plan, output=str(out), budget=parse_budget(BUDGET))
    summary = pipeline.upscale(spec, lambda *_: None)
    assert summary.failed == 0
    record = json.loads((out / "run.json").read_text())
    assert record["spent_flops"] == summary.spent_flops
    return summary


def measure_parts(files: LadderFiles, upscaler: Upscaler, archive: Path, names: Sequence[str]) -> Clock:
    """Seconds of each part over the archive on one core, nothing else running, at the run's allocation."""
    ladder, clock = files.ladder, Clock()
    images, scores = [], []
    for name in names:
        data = (archive / name).read_bytes()
        with clock("decode"):
            images.append(decode(data).pixels)
        with clock("score"):
            scores.append(ladder.scores(images[-1]))
    for pixels, chosen in zip(images, choose(files, scores), strict=True):
        with clock("cut"):
            cells = ladder.grid.windows(pixels)
        with clock("stitch"):
            height, width, channels = pixels.shape
            stitcher = Stitcher(ladder.grid, height, width, channels, pixels.dtype, ladder.scale)
        for subnet in range(len(ladder.subnets)):
            tiles = np.flatnonzero(chosen == subnet)
            with clock("cut"):
                windows = cells.take(tiles)
            with clock("net"):
                outputs = upscaler.run(subnet, [windows])[0].pixels
            with clock("stitch"):
                stitcher.add(tiles, outputs)
        with clock("stitch"):
            image = stitcher.image()
        with clock("encode"):
            encode(Picture.plain(image), "png")
    return clock


def parts_at_once(archive: Path, names: Sequence[str], cores: int) -> float:
    """Wall seconds of the parts with a process on every core, each with its share of the images.

    Cores share caches, memory and often a clock, so this, and not one core's time divided, is what no pipeline
    can beat.
    """
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        shares = [names[core::cores] for core in range(cores)]
        # Once for nothing, so that all have imported what they need before any begins.
        list(pool.map(_parts_alone, [archive] * cores, [share[:1] for share in shares]))
        return max(pool.map(_parts_alone, [archive] * cores, shares))


def _parts_alone(archive: Path, names: Sequence[str]) -> float:
    files = load_ladder(LADDER)
    upscaler = Upscaler(files.nets, files.ladder.grid, files.ladder.scale, "cpu")
    return sum(measure_parts(files, upscaler, archive, names).seconds.values())


def choose(files: LadderFiles, scores: Sequence[Scores]) -> list[Indices]:
    """The subnet of each tile of each image, at the budget of the run."""
    ladder, together = files.ladder, np.concatenate(scores)
    histogram = ladder.lut.histogram(together)
    budget = parse_budget(BUDGET).flops(len(together) * int(ladder.costs[-1]))
    allocation = allocate(histogram[None], -ladder.lut.mse, np.ones(1), ladder.costs, budget)
    share = ShardAllocation(np.arange(ladder.lut.n_bins), allocation.tiles[0])
    chosen = assign(together[:, 0], ladder.lut.bin_of(together), share)
    return np.split(chosen, np.cumsum([len(s) for s in scores])[:-1])


def report_pipeline(run: RunSummary, parts: Clock, cores: int, at_once: float) -> None:
    """End to end against the sum of the parts over the cores, Ray's start aside."""
    total = sum(parts.seconds.values())
    wall = run.timings.plan_seconds + run.timings.run_seconds
    print(f"\npipeline, {run.images} images at {run.budget}, PNG in and out, {cores} cores, warm workers:")
    for part, seconds in parts.seconds.items():
        print(f"  {part:8} {seconds:7.2f} s  {seconds / total:6.1%} of the parts")
    print(f"  sum of the parts on one core {total:.2f} s; on {cores} cores ideally {total / cores:.2f} s")
    print(f"  end to end {wall:.2f} s (plan {run.timings.plan_seconds:.2f}, run {run.timings.run_seconds:.2f})")
    print(f"  ratio to the ideal {wall * cores / total:.2f} (aim: at most 1.25)")
    print(f"  the parts alone on {cores} cores at once {at_once:.2f} s; ratio to that {wall / at_once:.2f}")


def report_loop(files: LadderFiles, upscaler: Upscaler, archive: Path, names: Sequence[str]) -> None:
    """The same images one tile at a time, 32 px every 28, as the published code runs them."""
    network = as_published(files)
    ours = theirs = 0.0
    for name in names[:LOOP_IMAGES]:
        pixels = decode((archive / name).read_bytes()).pixels
        started = time.perf_counter()
        tiles = np.arange(files.ladder.grid.count(*pixels.shape[:2]))
        upscaler.run(len(files.nets) - 1, [files.ladder.grid.windows(pixels).take(tiles)])
        ours += time.perf_counter() - started
        started = time.perf_counter()
        with torch.inference_mode():
            for top in range(0, pixels.shape[0] - 31, 28):
                for left in range(0, pixels.shape[1] - 31, 28):
                    patch = pixels[top : top + 32, left : left + 32].astype(np.float32) / 255
                    laplacian_map(pixels[top : top + 32, left : left + 32]).mean()
                    output = network(torch.from_numpy(patch).permute(2, 0, 1)[None])
                    (output[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy().astype(np.uint8)
        theirs += time.perf_counter() - started
    print(f"\nlargest subnet on {LOOP_IMAGES} images, one core:")
    print(f"  batches of tiles {ours:.2f} s, one tile at a time {theirs:.2f} s, ratio {theirs / ours:.2f}")


def as_published(files: LadderFiles) -> Fsrcnn:
    """The largest subnet with torch's own transposed convolution."""
    net = files.nets[-1]
    assert isinstance(net, SubnetRung)
    network = net.module()
    assert isinstance(network, Fsrcnn)
    tail = network.tail_conv
    kernel, stride = tail.kernel_size[0], tail.stride[0]
    padding, output_padding = int(tail.padding[0]), tail.output_padding[0]
    plain = torch.nn.ConvTranspose2d(tail.in_channels, 3, kernel, stride, padding, output_padding)
    plain.load_state_dict(tail.state_dict())
    network.tail_conv = plain  # type: ignore[assignment]
    return network


def timed(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Clock:
    """Adds up wall seconds by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Time the block as `part`."""
        started = time.perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - started


if __name__ == "__main__":
    main()
