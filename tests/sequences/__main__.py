"""``python -m tests.sequences``: as many steps as asked for, and how many there were."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.sequences.machine import Sequences

STEPS = 40
"""Of one sequence."""

EXAMPLES = 5
"""Sequences for one seed."""


def run(start: int, steps: int, minutes: float, shrink: bool = True, go_on: bool = False) -> int:
    """Run seed after seed until there were so many steps, the time is up, or something is found.

    Returns:
        How many seeds found something.
    """
    ends = time.monotonic() + 60 * minutes
    number, found = start, 0
    while Sequences.steps.total() < steps and time.monotonic() < ends:
        machine = seed(number)(type("Seeded", (Sequences,), {}))
        chosen = settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            print_blob=True,
            verbosity=Verbosity.normal,
            phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        try:
            run_state_machine_as_test(machine, settings=chosen)
        except BaseException:
            traceback.print_exc(limit=-1)
            print(f"seed {number} found something after {Sequences.steps.total():,} steps", flush=True)
            found += 1
            if not go_on:
                return found
        number += 1
        if number % 10 == 0:
            print(f"{Sequences.steps.total():,} steps, seeds {start} to {number - 1}", flush=True)
    print(f"{Sequences.steps.total():,} steps, {found} findings; seeds {start} to {number - 1}")
    for kind, count in sorted(Sequences.steps.items()):
        print(f"  {count:7,} {kind}")
    print("exit codes:", ", ".join(f"{code}: {count:,}" for code, count in sorted(Sequences.codes.items())))
    return found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.sequences", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--no-shrink", action="store_true", help="show the sequence as it was found")
    parser.add_argument("--damaged", default="", help="what the keys begin with that may be damaged")
    parser.add_argument("--go-on", action="store_true", help="with the next seed where one has found something")
    parser.add_argument("--sink", action="append", help="only this one; may be repeated")
    parser.add_argument("--minutes", type=float, default=60)
    told = parser.parse_args()
    Sequences.damaged = told.damaged
    Sequences.sinks = tuple(told.sink or Sequences.sinks)
    found = run(told.seed, told.steps, told.minutes, not told.no_shrink, told.go_on)
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
