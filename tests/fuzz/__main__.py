"""Fuzzing: ``python -m tests.fuzz --minutes 30``. Exit code 1 where something was found."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.fuzz.watch import Watched, fuzz


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    parser.add_argument(
        "--folder", type=Path, default=Path("fuzz-findings"), help="of findings and what led to them"
    )
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    print(f"seed {arguments.seed}, findings go to {arguments.folder}", flush=True)

    def go_on(watched: Watched) -> bool:
        print(watched, flush=True)
        return bool(time.monotonic() < end)

    watched = fuzz(arguments.folder, arguments.seed, 2**40, go_on)
    print(watched)
    return 1 if watched.findings else 0


if __name__ == "__main__":
    sys.exit(main())
