"""What documents are fuzzed in: outputs of all sinks, the folder of a plan, a pool and a ladder; made once."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from arm_batch import pipeline
from arm_batch.budget.quota_journal import QuotaJournal
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.progress import Progress
from arm_batch.errors import StoppedError
from arm_batch.models.ladder_files import find_ladder
from arm_batch.spec import DryRunSpec, JobSpec, PlanSpec, Resume, ShardLimits, Sink
from arm_batch.storage.open import open_store
from tests.archives import ALONE, LADDER, draw, job, silent, write_png

BUDGET = "40%"
SINKS: tuple[Sink, ...] = ("parquet", "files", "webdataset")
INPUT = "in"


@dataclass(frozen=True)
class State:
    """A folder whose documents are changed, and what is run on it then.

    Attributes:
        name: of the folder.
        commands: arguments of `arm-batch`, in order; ``{}`` stands for the folder that all lie in.
        output: of a run, below that folder; None where there is none to look at.
        finished: whether that run is complete, so that no row may become another.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    output: str | None = None
    finished: bool = False


def make_states(root: Path) -> list[State]:
    """Make all folders under `root`; a few seconds."""
    _make_input(root / INPUT)
    states = []
    for sink in SINKS:
        _make_output(root, sink, root / sink)
        states.append(_output_state(sink, sink, finished=True))
        half = f"{sink}-half"
        shutil.copytree(root / sink, root / half)
        sorted((root / half / "commits" / "g0000").iterdir())[1].unlink()
        states.append(_output_state(half, sink, finished=False))
    pipeline.plan(_plan_spec(root), silent)
    states.append(
        State(
            "plan",
            (
                (
                    "plan",
                    f"{{}}/{INPUT}",
                    "--plan-out",
                    "{}/plan",
                    "--ladder",
                    LADDER,
                    *ALONE,
                ),
                (
                    "upscale",
                    f"{{}}/{INPUT}",
                    "{}/of-plan",
                    "--ladder",
                    LADDER,
                    "--plan",
                    "{}/plan",
                    *ALONE,
                ),
            ),
            "of-plan",
        )
    )
    states.append(_make_pool(root))
    shutil.copytree(find_ladder(LADDER), root / "ladder", ignore=shutil.ignore_patterns("*.csv", "*.md"))
    look = ("plan", f"{{}}/{INPUT}/a.png", "--ladder", "{}/ladder", *ALONE)
    states.append(State("ladder", (look,)))
    return states


def keys_of(root: Path, state: State) -> list[str]:
    """The files that are changed: all that somebody reads."""
    folder = root / state.name
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    # Nobody goes by `run.json` and attempts. Names hold ids that are others each time, and a seed must decide.
    counted = (key for key in files if key != "run.json" and not key.startswith("attempts/"))
    return sorted(
        counted,
        key=lambda key: re.sub("[0-9a-f]{32}", "", key),
    )


def _make_input(folder: Path) -> None:
    for seed, name in enumerate(("a", "b", "deep/c", "d")):
        write_png(folder / f"{name}.png", draw(seed, 20 + seed, 33))
    (folder / "broken.png").write_text("no picture")


def _make_output(root: Path, sink: Sink, output: Path) -> None:
    """A run that was stopped, went on with an added budget, and tried its failed image again."""
    spec = job(root / INPUT, output, BUDGET, sink=sink, shard_images=1)
    run_until(spec, "run", 1)
    pipeline.upscale(replace(spec, resume=Resume(add_budget=parse_budget("20%"))), silent)
    pipeline.upscale(replace(spec, resume=Resume(retry_failed=True)), silent)


def run_until(spec: JobSpec, stage: str, done: int) -> None:
    """Run a job until so many shards are through a stage."""
    reached: list[int] = []

    def note(progress: Progress) -> None:
        silent(progress)
        if progress.stage == stage and progress.shards_done >= done:
            reached.append(progress.shards_done)

    try:
        pipeline.upscale(spec, note, lambda: bool(reached))
    except StoppedError:
        return
    raise AssertionError("it was not stopped")


def _output_state(name: str, sink: Sink, finished: bool) -> State:
    folder = f"{{}}/{name}"
    upscale = (
        "upscale",
        f"{{}}/{INPUT}",
        folder,
        "--budget",
        BUDGET,
        "--sink",
        sink,
        "--ladder",
        LADDER,
        *ALONE,
    )
    commands = (("status", folder), ("verify", folder), upscale, (*upscale, "--repair"), ("verify", folder))
    return State(name, commands, name, finished)


def _plan_spec(root: Path) -> DryRunSpec:
    return DryRunSpec(
        plan=PlanSpec(
            input=str(root / INPUT),
            ladder=LADDER,
            scale=4,
            executor="inline",
            workers=1,
            limits=ShardLimits(images=2),
        ),
        output=str(root / "plan"),
        profiling=False,
    )


def _make_pool(root: Path) -> State:
    """A pool that one job has finished with and another draws from, with a snapshot of its journal."""
    journal: Callable[[], QuotaJournal] = lambda: QuotaJournal(open_store(str(root / "pool")))  # noqa: E731
    journal().create("pool", 10**12)
    budget = f"pool:{root / 'pool'}"
    pipeline.upscale(job(root / INPUT, root / "pooled-1", budget, shard_images=1), silent)
    run_until(job(root / INPUT, root / "pooled-2", budget, shard_images=1), "run", 1)
    upscale = (
        "upscale",
        f"{{}}/{INPUT}",
        "{}/pooled-2",
        "--budget",
        "pool:{}/pool",
        "--ladder",
        LADDER,
        *ALONE,
    )
    return State("pool", (("budget", "show", "pool", "--store", "{}"), upscale), "pooled-2")
