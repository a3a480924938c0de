"""A process that takes one mutated file after the other through, and leaves behind what it is at."""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
import traceback
from pathlib import Path

from tests.fuzz.mutate import mutate
from tests.fuzz.places import CURRENT, KEPT, NUMBER, STATE
from tests.fuzz.seeds import SEEDS
from tests.fuzz.target import Upscaling

GROWTH = 512 * 2**20
"""Bytes in memory, beyond what any file before it took, from which a file counts as a finding."""

_STATE_EVERY = 100
_KEPT_FILES = 3000
_LONGEST = 2**20
"""Bytes of a file."""


def run(folder: Path, start: int, stop: int, seed: int, memory: int) -> None:
    """Executions `start` to `stop`, each of which follows from `seed`, its number and what was kept before.

    Args:
        folder: of this fuzzing; see `places`.
        start: number of the first.
        stop: one past the last.
        seed: of it all.
        memory: bytes of address space that this process may use beyond what it has when the nets are loaded.
    """
    upscaling = Upscaling.shipped()
    for data in SEEDS.values():
        upscaling.take_through(data, random.Random(0))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
    pool = list(SEEDS.values()) + [path.read_bytes() for path in sorted((folder / KEPT).iterdir())]
    ways: set[str] = set()
    slowest, largest = 0.0, _most_memory()
    for number in range(start, stop):
        rng = random.Random(f"{seed}/{number}")
        data = mutate(rng.choice(pool), pool, rng)[:_LONGEST]
        (folder / CURRENT).write_bytes(data)
        (folder / NUMBER).write_text(str(number))
        before = time.monotonic()
        try:
            way = upscaling.take_through(data, random.Random(number))
        except Exception:
            way = "defect"
            _find(folder, f"defect-{number}", data, traceback.format_exc())
        slowest = max(slowest, time.monotonic() - before)
        grown = _most_memory() - largest
        if grown > GROWTH:
            _find(folder, f"memory-{number}", data, f"{grown:,} bytes for: {way}")
        largest += grown
        if way not in ways and len(pool) < _KEPT_FILES:
            pool.append(data)
            (folder / KEPT / f"{number:08d}").write_bytes(data)
        ways.add(way)
        if number % _STATE_EVERY == 0 or number == stop - 1:
            state = {"done": number + 1, "ways": len(ways), "slowest_s": slowest, "rss": largest}
            (folder / STATE).write_text(json.dumps(state))


def _find(folder: Path, name: str, data: bytes, why: str) -> None:
    (folder / f"{name}.bin").write_bytes(data)
    (folder / f"{name}.txt").write_text(why)


def _most_memory() -> int:
    """Bytes, that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    for name in ("start", "stop", "seed", "memory"):
        parser.add_argument(name, type=int)
    run(**vars(parser.parse_args()))
