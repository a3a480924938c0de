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
from tests.fuzz.seeds import SEEDS
from tests.fuzz.target import Upscaling

CURRENT, NUMBER, STATE, KEPT = "current", "number", "state.json", "kept"
"""Files in the folder: what is being taken through, which it is, what was found, and files that did something new."""

_STATE_EVERY = 100
_KEPT_FILES = 3000


def replay(upscaling: Upscaling, data: bytes, number: int) -> str:
    """Take a file through as the execution of this number did."""
    return upscaling.take_through(data, random.Random(number))


def run(folder: Path, start: int, stop: int, seed: int, memory: int) -> None:
    """Executions `start` to `stop`, each of which follows from `seed`, its number and what was kept before.

    Args:
        folder: of this fuzzing; its parts are named above.
        start: number of the first.
        stop: one past the last.
        seed: of it all.
        memory: bytes of address space that this process may use beyond what it has when the nets are loaded.
    """
    upscaling = Upscaling.shipped()
    for name, data in SEEDS.items():
        if (told := replay(upscaling, data, 0)).startswith("not read") and "--float" not in told:
            print(f"the seed {name} is {told}", flush=True)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
    pool = list(SEEDS.values()) + [path.read_bytes() for path in sorted((folder / KEPT).iterdir())]
    ways: set[str] = set()
    slowest, largest = 0.0, 0
    for number in range(start, stop):
        rng = random.Random(f"{seed}/{number}")
        data = mutate(rng.choice(pool), pool, rng)[: 2**20]
        (folder / CURRENT).write_bytes(data)
        (folder / NUMBER).write_text(str(number))
        before = time.monotonic()
        try:
            way = replay(upscaling, data, number)
        except Exception:
            way = "defect"
            (folder / f"defect-{number}.bin").write_bytes(data)
            (folder / f"defect-{number}.txt").write_text(traceback.format_exc())
        slowest = max(slowest, time.monotonic() - before)
        if way not in ways:
            ways.add(way)
            if len(pool) < _KEPT_FILES:
                pool.append(data)
                (folder / KEPT / f"{number:08d}").write_bytes(data)
        if number % _STATE_EVERY == 0 or number == stop - 1:
            largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            state = {"done": number + 1, "ways": len(ways), "slowest_s": slowest, "rss": largest}
            (folder / STATE).write_text(json.dumps(state))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    for name in ("start", "stop", "seed", "memory"):
        parser.add_argument(name, type=int)
    run(**vars(parser.parse_args()))
