"""One image far beyond memory: how long it takes, in how much memory, and whether its pixels are right.

    python benchmarks/large images.py [--side 30000] [--budget 10%] [--executor ray]

A TIFF of `side` x `side` RGB pixels is upscaled by the x2 ladder into one of four times as many. Memory is what
all processes of the run hold together, Ray's included, each shared page counted once (PSS). A region in the middle
of the output is then computed anew by itself, with the same subnets, and compared.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pyvips

from arm_batch import open_dataset, pipeline
from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.arrays import Pixels
from arm_batch.core.large_images import DEFAULT_LARGE_IMAGES
from arm_batch.core.tiling.grid import Stitcher
from arm_batch.execution.batches import assign_images
from arm_batch.execution.messages import JobContext
from arm_batch.images.streaming import Canvas, StripWriter
from arm_batch.metadata import Metadata
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import load_ladder
from arm_batch.pipeline.job import open_job
from arm_batch.runstate.allocation import read_allocation
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.plan_files import read_plan
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.runstate.verify import verify_store
from arm_batch.spec import JobSpec, PlanSpec
from arm_batch.storage.open import open_store

LADDER, SCALE = "fsrcnn-x2", 2
STRIP = 256
REGION_TILES = 40
"""Side of the region that is computed anew."""

SAMPLE_S = 1.0


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=30_000)
    parser.add_argument("--budget", default="10%")
    parser.add_argument("--executor", choices=("ray", "inline"), default="ray")
    parser.add_argument("--folder", help="where to put some tens of GB for a while")
    asked = parser.parse_args()
    if not DEFAULT_LARGE_IMAGES.has_output(asked.side * SCALE, asked.side * SCALE):
        parser.error(f"--side {asked.side} is no large image")
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        source, output = Path(folder) / "in", Path(folder) / "out"
        source.mkdir()
        draw(source / "large.tif", asked.side)
        size = (source / "large.tif").stat().st_size
        print(f"input: {asked.side} x {asked.side} px, {size / 1e9:.2f} GB of TIFF")
        plan = PlanSpec(input=str(source), ladder=LADDER, scale=SCALE, executor=asked.executor)
        spec = JobSpec(plan=plan, output=str(output), budget=parse_budget(asked.budget))
        started = time.perf_counter()
        whole, largest = peak_bytes(spec)
        seconds = time.perf_counter() - started
        report(output, seconds, whole, largest)
        started = time.perf_counter()
        check_middle(spec, source / "large.tif", output)
        assert not verify_store(open_store(str(output)), list_generations(open_store(str(output)))).problems
        print(
            f"checks: {time.perf_counter() - started:.0f} s; the middle is what it is by itself, and all is sound"
        )


def draw(path: Path, side: int) -> None:
    """A picture of flat, smooth, regular and noisy parts, written strip by strip."""
    path.touch()
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (STRIP, 4096 + side % 4096 + 1)).astype(np.float32)
    x = np.arange(side, dtype=np.float32)
    # It comes and goes within some hundred px, also in the middle.
    strength = np.sin((x - side / 2) / 311) ** 2 * 24
    texture = np.take(noise, np.arange(side) % noise.shape[1], axis=1) * strength
    canvas = Canvas(
        height=side,
        width=side,
        colours=3,
        planes=0,
        has_alpha=False,
        dtype=np.dtype(np.uint8),
        metadata=Metadata(),
    )
    with StripWriter(path, "tiff", 95, canvas) as writer:
        for top in range(0, side, STRIP):
            y = np.arange(top, min(top + STRIP, side), dtype=np.float32)[:, None]
            waves = np.sin(x / 61 + np.sin(y / 331)) * np.cos(y / 47)
            grey = 120 + 60 * waves + np.roll(texture, 31 * (top // STRIP), axis=1)[: len(y)]
            edges = np.where((x // 173 + y // 211) % 5 == 0, 40, 0)
            rows = np.stack([grey, grey * 0.8 + edges, 255 - grey - edges], axis=2)
            writer.add(rows.clip(0, 255).astype(np.uint8))


def peak_bytes(spec: JobSpec) -> tuple[int, int]:
    """Run a job in a process of its own; what all its processes, and the largest of them, held at most."""
    process = multiprocessing.get_context("spawn").Process(target=run, args=(spec,))
    process.start()
    whole = largest = 0
    while process.is_alive():
        held = [pss(pid) for pid in family(process)]
        whole, largest = max(whole, sum(held)), max(largest, *held)
        process.join(SAMPLE_S)
    assert process.exitcode == 0, "the run failed"
    return whole, largest


def run(spec: JobSpec) -> None:
    """The main job."""
    summary = pipeline.upscale(spec, lambda *_: None)
    assert summary.failed == 0


def family(process: BaseProcess) -> Iterator[int]:
    """The process and all that it has started, directly or not."""
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        children[int(text.rpartition(")")[2].split()[1])].append(int(stat.parent.name))
    left = [process.pid or 0]
    while left:
        pid = left.pop()
        yield pid
        left += children[pid]


def pss(pid: int) -> int:
    """Bytes that a process holds, shared pages in shares; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def report(output: Path, seconds: float, whole: int, largest: int) -> None:
    """What came out."""
    row = open_dataset(str(output)).to_table().to_pylist()[0]
    size = (output / row["image"]["path"]).stat().st_size
    pixels = row["width"] * row["height"]
    timings = json.loads((output / "run.json").read_text())["timings"]
    stages = ", ".join(f"{name.removesuffix('_seconds')} {taken:.0f} s" for name, taken in timings.items())
    print(f"output: {row['width']} x {row['height']} px, {size / 1e9:.2f} GB, {row['flops'] / 1e12:.2f} TFLOP")
    print(f"run: {seconds:.0f} s, {pixels / seconds / 1e6:.1f} Mpx/s of output: {stages}")
    print(f"memory: at most {whole / 1e9:.2f} GB in all, {largest / 1e9:.2f} GB in one process")


def check_middle(spec: JobSpec, source: Path, output: Path) -> None:
    """Compute a region in the middle by itself, and compare."""
    row = open_dataset(str(output)).to_table().to_pylist()[0]
    files = load_ladder(LADDER)
    grid = files.ladder.grid
    subnets = chosen(open_job(spec, files).context).reshape(
        grid.shape(row["height"] // SCALE, row["width"] // SCALE)
    )
    # With a row and a column of tiles around it, whose halos are not true.
    first = [max(1, n // 2 - REGION_TILES // 2) for n in subnets.shape]
    sides = [min(REGION_TILES, n - 2 - f) for n, f in zip(subnets.shape, first, strict=True)]
    crop = [(f - 1) * grid.tile for f in first], [(n + 2) * grid.tile for n in sides]
    image = region(source, crop[0], crop[1])
    cells = grid.windows(image)
    mine = subnets[first[0] - 1 :][: sides[0] + 2, first[1] - 1 :][:, : sides[1] + 2].ravel()
    stitcher = Stitcher(grid, image.shape[0], image.shape[1], 3, image.dtype, SCALE)
    upscaler = Upscaler(files.nets, grid, SCALE, "cpu")
    for subnet in np.unique(mine):
        tiles = np.flatnonzero(mine == subnet)
        stitcher.add(tiles, upscaler.run(int(subnet), [cells.take(tiles)])[0].pixels)
    edge = grid.tile * SCALE
    ours = stitcher.image()[edge:-edge, edge:-edge]
    theirs = region(output / row["image"]["path"], [f * edge for f in first], [n * edge for n in sides])
    np.testing.assert_array_equal(theirs, ours)
    counts = np.bincount(mine, minlength=len(files.nets)).tolist()
    print(f"middle: {ours.shape[1]} x {ours.shape[0]} px, tiles by subnet {counts}: equal")


def chosen(context: JobContext) -> np.ndarray:
    """The subnet of each tile of the one image, from plan and allocation."""
    store = context.output
    generation = list_generations(store)[0]
    found = read_allocation(store, generation)
    assert found is not None
    allocation_record, parts = found
    share = ShardAllocation(
        parts[0].cells,
        allocation_record.allocation.tiles.reshape(-1, len(allocation_record.costs))[parts[0].cells],
    )
    return assign_images(context, read_plan(store, ShardId(0, 0)), share)[0]


def region(path: Path, first: list[int], sides: list[int]) -> Pixels:
    """Part of a TIFF file: rows and columns from `first`, as many as `sides`."""
    image = pyvips.Image.tiffload(str(path))
    cut: Pixels = image.crop(first[1], first[0], sides[1], sides[0]).numpy()
    return cut


if __name__ == "__main__":
    main()
