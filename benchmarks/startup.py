"""Sixty small pictures: from the command to the last byte, against the work itself; and all cores against one.

    python benchmarks/startup.py FOLDER [--ladder fsrcnn-x4] [--budget 40%] [--rounds 3]

FOLDER holds photographs, which are reduced to 640 x 480. The work itself is what the run did to each picture, from
reading to encoding, by processes that have loaded everything; starting, listing, allocating and committing are not
in it. All is measured in turns: quote the ratios, of the best of each, and what else the machine does.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2

from arm_batch.budget.state import Terms
from arm_batch.budget.stored_state import read_state
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.execution.batches import assign_images
from arm_batch.execution.cores import usable_cores
from arm_batch.execution.messages import JobContext
from arm_batch.execution.planning import plan_image
from arm_batch.execution.units import cut_units
from arm_batch.execution.work import UpscaleImages, Work
from arm_batch.models.ladder_files import load_ladder
from arm_batch.pipeline.job import open_job
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.plan_files import read_plan
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.spec import JobSpec, PlanSpec

PICTURES, HEIGHT, WIDTH = 60, 480, 640

held: Work
"""Of a process that does the work itself."""


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ladder", default="fsrcnn-x4")
    parser.add_argument("--budget", default="40%")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    cores = usable_cores()
    with tempfile.TemporaryDirectory() as folder:
        archive, output = Path(folder) / "in", Path(folder) / "out"
        make_archive(asked.folder, archive)
        print(f"{PICTURES} pictures of {WIDTH} x {HEIGHT}, {asked.ladder} at {asked.budget}, {cores} cores")
        wall: dict[str, list[float]] = {"one": [], "all": [], "work": []}
        for number in range(asked.rounds):
            for name, workers in (("one", 1), ("all", cores)):
                seconds, cpu = command(archive, output, asked.ladder, asked.budget, workers)
                wall[name].append(seconds)
                print(f"  {number}: command, {workers} at work: {seconds:.1f} s, {cpu:.1f} CPU s", end="")
            plan = PlanSpec(input=str(archive), ladder=asked.ladder, scale=4)
            spec = JobSpec(plan=plan, output=str(output), budget=parse_budget(asked.budget))
            wall["work"].append(work_itself(spec, cores))
            print(
                f"  {number}: the work itself on {cores}: {wall['work'][-1]:.1f} s; load {os.getloadavg()[0]:.0f}"
            )
    one, together, work = (min(wall[name]) for name in ("one", "all", "work"))
    print(f"command to last byte over the work itself: {together / work:.2f}")
    print(f"{cores} cores over one: {one / together:.2f}")


def make_archive(photographs: Path, archive: Path) -> None:
    """Photographs, reduced and cut to one size; over again where there are too few."""
    archive.mkdir()
    sound = [image for path in sorted(photographs.rglob("*.*")) if (image := cv2.imread(str(path))) is not None]
    large = [image for image in sound if image.shape[0] >= HEIGHT and image.shape[1] >= WIDTH]
    for number, image in enumerate(itertools.islice(itertools.cycle(large), PICTURES)):
        factor = max(WIDTH / image.shape[1], HEIGHT / image.shape[0])
        size = (max(WIDTH, round(image.shape[1] * factor)), max(HEIGHT, round(image.shape[0] * factor)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)[:HEIGHT, :WIDTH]
        cv2.imwrite(str(archive / f"{number:02d}.png"), small)


def command(archive: Path, output: Path, ladder: str, budget: str, workers: int) -> tuple[float, float]:
    """Wall and CPU seconds of the command as people give it."""
    shutil.rmtree(output, ignore_errors=True)
    arguments = ["upscale", str(archive), str(output), "--ladder", ladder, "--budget", budget]
    before, started = cpu_seconds(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "arm_batch", *arguments, "--executor", "inline", "--workers", str(workers)],
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started, cpu_seconds() - before


def cpu_seconds() -> float:
    """Of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def work_itself(spec: JobSpec, cores: int) -> float:
    """Wall seconds for planning and upscaling every picture of a finished run again, by so many warm processes."""
    context = open_job(spec, load_ladder(spec.plan.ladder_name)).context
    units = list_units(context)
    with ProcessPoolExecutor(cores, get_context("spawn"), _load, (spec,)) as pool:
        # Once for nothing, long enough that each takes part.
        list(pool.map(_do, units[: 4 * cores]))
        started = time.perf_counter()
        list(pool.map(_do, units))
        return time.perf_counter() - started


def list_units(context: JobContext) -> list[UpscaleImages]:
    """What the run did, by unit."""
    (generation,) = list_generations(context.output)
    state = read_state(Terms(context.ladder, context.objective), context.output, generation)
    units: list[UpscaleImages] = []
    for index in range(generation.shards):
        plan = read_plan(context.output, ShardId(generation.number, index))
        units += cut_units(context, plan, assign_images(context, plan, state.shares[index]))
    return units


def _load(spec: JobSpec) -> None:
    global held
    files = load_ladder(spec.plan.ladder_name)
    held = Work(open_job(spec, files).context, files)


def _do(unit: UpscaleImages) -> int:
    for image in unit.plan.images:
        plan_image(held.context, image.entry, image.output)
    return sum(len(record.image.bytes or b"") for record in unit(held) if record.image is not None)


if __name__ == "__main__":
    main()
