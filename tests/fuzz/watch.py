"""Watching over a worker: whether it dies, hangs, or takes too much memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.places import CURRENT, KEPT, NUMBER, STATE

MEMORY = 2 * 2**30
"""Bytes that taking a file of at most 1 MiB and 65,536 px through may use."""

HANG_S = 30.0
"""Seconds for one file that count as a hang; on a busy machine they are longer."""

_LOOK_EVERY_S = 0.5
_ROOT = Path(__file__).parents[2]


@dataclass
class Watched:
    """How it went so far.

    Attributes:
        done: executions.
        ways: different outcomes that the present worker has seen.
        slowest_s: of one file.
        rss: bytes, the most that a worker had in memory.
        findings: names of files with what was found.
    """

    done: int = 0
    ways: int = 0
    slowest_s: float = 0.0
    rss: int = 0
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.done} files, {self.ways} ways, slowest {self.slowest_s:.2f} s, {self.rss / 2**20:.0f} MiB, "
            f"found: {', '.join(self.findings) or 'nothing'}"
        )

    def read(self, folder: Path) -> None:
        """Take in what the worker says."""
        try:
            state = json.loads((folder / STATE).read_text())
        except (FileNotFoundError, ValueError):
            return
        self.done, self.ways = state["done"], state["ways"]
        self.slowest_s, self.rss = max(self.slowest_s, state["slowest_s"]), max(self.rss, state["rss"])
        self.findings = sorted(path.name for path in folder.glob("*-*.bin"))


def fuzz(
    folder: Path,
    seed: int,
    count: int,
    go_on: Callable[[Watched], bool],
    worker_module: str = "tests.fuzz.worker",
    hang_s: float = HANG_S,
    clock: Callable[[], float] = time.monotonic,
) -> Watched:
    """Take `count` mutated files through in a process of its own, which is started anew when it dies or hangs.

    Args:
        folder: gets the findings, ``defect-``, ``memory-``, ``crash-`` or ``hang-`` and the number of the file.
        seed: what decides which files.
        count: of executions.
        go_on: told now and then; False ends it early.
        worker_module: what runs them.
        hang_s: seconds for one file from which it counts as hanging.
        clock: what tells the time, in seconds.
    """
    folder = folder.resolve()
    (folder / KEPT).mkdir(parents=True, exist_ok=True)
    watched = Watched()
    start = 0
    while start < count:
        (folder / NUMBER).unlink(missing_ok=True)
        command = [sys.executable, "-m", worker_module, folder, start, count, seed, MEMORY]
        with subprocess.Popen(list(map(str, command)), cwd=_ROOT) as worker:
            ended = _watch(worker, folder, watched, go_on, hang_s, clock)
            worker.kill()
        watched.read(folder)
        if ended is None:
            break
        if not (folder / NUMBER).exists():
            raise RuntimeError("the worker does not come up")
        number = int((folder / NUMBER).read_text())
        (folder / CURRENT).rename(folder / f"{ended}-{number}.bin")
        start = number + 1
    watched.read(folder)
    return watched


def _watch(
    worker: subprocess.Popen[bytes],
    folder: Path,
    watched: Watched,
    go_on: Callable[[Watched], bool],
    hang_s: float,
    clock: Callable[[], float],
) -> str | None:
    """Until it ends: None for well, else what it did."""
    since, last, looks = clock(), "", 0
    while True:
        try:
            return "crash" if worker.wait(_LOOK_EVERY_S) else None
        except subprocess.TimeoutExpired:
            pass
        number = (folder / NUMBER).read_text() if (folder / NUMBER).exists() else ""
        if number != last:
            since, last = clock(), number
        elif number and clock() - since > hang_s:
            return "hang"
        looks += 1
        if looks % 60 == 0:
            watched.read(folder)
            if not go_on(watched):
                return None
