"""Budgets of wall time, asked for and taken, on a folder of real images.

    python benchmarks/deadline.py FOLDER --repeat 20 --budgets 40s 60s 90s

Beside wall seconds it prints the CPU seconds of the run stage: those do not grow when other programs take turns
on the cores, so they tell an error of the model from a machine that got busier. Linux only.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import ray

from arm_batch import pipeline
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.progress import Progress
from arm_batch.spec import JobSpec, PlanSpec

TICK = os.sysconf("SC_CLK_TCK")


class CpuMeter(threading.Thread):
    """Adds up the CPU seconds of this process and all below it, also of those that end meanwhile."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._done = threading.Event()
        self._seconds: dict[int, float] = {}
        self.start()

    def run(self) -> None:
        while not self._done.wait(0.5):
            self.read()

    def read(self) -> float:
        children = defaultdict(list)
        seconds = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            pid = int(stat.parent.name)
            children[int(fields[1])].append(pid)
            seconds[pid] = (int(fields[11]) + int(fields[12])) / TICK
        mine = [os.getpid()]
        for pid in mine:
            mine += children[pid]
        self._seconds.update({pid: seconds[pid] for pid in mine if pid in seconds})
        return self.seconds

    @property
    def seconds(self) -> float:
        """As last read."""
        return sum(self._seconds.values())

    def stop(self) -> None:
        """Read no more."""
        self._done.set()


def repeat(folder: Path, times: int, into: Path) -> Path:
    """The images of a folder, `times` over, under names of their own."""
    into.mkdir()
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        for i in range(times):
            (into / f"{i:04d}-{path.name}").symlink_to(path.resolve())
    return into


def ask(archive: Path, output: Path, budget: str, ladder: str) -> None:
    meter = CpuMeter()
    at_run = []

    def progress(at: Progress) -> None:
        if at.stage == "run" and at.shards_done == 0:
            at_run.append((time.monotonic(), meter.read()))

    started = time.monotonic()
    plan = PlanSpec(input=str(archive), ladder=ladder, scale=4, executor="ray")
    summary = pipeline.upscale(JobSpec(plan=plan, output=str(output), budget=parse_budget(budget)), progress)
    ended = time.monotonic()
    meter.stop()
    forecast = json.loads((output / "run.json").read_text())["generations"][0]["forecast"]
    busy = sum(n * s for p in forecast["pools"] for n, s in zip(p["tiles"], p["seconds"], strict=True))
    (run_began, cpu_before) = at_run[0]
    # The meter's last reading: workers are gone by the time that the pipeline returns.
    cpu = meter.seconds - cpu_before
    passed, wall = forecast["passed_seconds"], forecast["wall_seconds"]
    told = {
        "taken": f"{ended - started:.1f} s ({(ended - started) / wall - 1:+.0%})",
        "spent": f"{summary.spent_flops / summary.full_flops:.1%}",
        "before the run": f"{passed:.1f} s",
        "run": f"{ended - run_began:.1f} s, expected {forecast['expected_seconds'] - passed:.1f} s",
        "core seconds": f"{cpu:.1f}, expected {busy:.1f} for nets and {forecast['beside_seconds']:.1f} beside",
        "load average": f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
    }
    print(budget, *(f"{name}: {value}" for name, value in told.items()), sep=" | ", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--budgets", nargs="+", default=["40s", "60s", "90s"])
    parser.add_argument("--ladder", default="fsrcnn-x4")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        archive = repeat(arguments.folder, arguments.repeat, Path(scratch) / "in")
        for budget in arguments.budgets:
            # One of its own: another program's cluster may run here too. Its start is not in the time.
            ray.init(address="local", include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
            ask(archive, Path(scratch) / budget, budget, arguments.ladder)
            ray.shutdown()


if __name__ == "__main__":
    main()
