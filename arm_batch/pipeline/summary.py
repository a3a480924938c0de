"""What became of a run, told from what lies in its output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from arm_batch.budget.state import Terms
from arm_batch.budget.stored_state import read_state
from arm_batch.core.allocation.objective import Quality, predict
from arm_batch.errors import StoreError
from arm_batch.inputs.listing import Listing
from arm_batch.pipeline.clock import Clock
from arm_batch.pipeline.generations import budget_of
from arm_batch.pipeline.job import Job
from arm_batch.report import GenerationReport, RunSummary, Timings, run_document
from arm_batch.runstate.allocation import Verdict
from arm_batch.runstate.commit import Commit, commit_key, visible_parts
from arm_batch.runstate.damage import REPAIR
from arm_batch.runstate.generation import Generation, count_copies


@dataclass(frozen=True)
class Notes:
    """What this attempt knows and the output does not.

    Attributes:
        waiting: images of INPUT that no generation has taken up, and what else there is.
        repaired: what was damaged, a line for each.
        clock: of this attempt.
    """

    waiting: Listing
    repaired: tuple[str, ...]
    clock: Clock


def summarize(
    job: Job, generations: Sequence[Generation], commits: Sequence[Commit], notes: Notes
) -> tuple[RunSummary, str]:
    """The summary of a complete run, and the text of its ``run.json``.

    Raises:
        StoreError: a record is of another ladder.
    """
    for commit in commits:
        if len(commit.subnet_tiles) != len(job.ladder.subnets):
            raise StoreError(
                f"{job.output.url}/{commit_key(commit.shard)} does not count the tiles of "
                f"{len(job.ladder.subnets)} subnets; {REPAIR}"
            )
    verdicts = [_verdict(job, generation) for generation in generations]
    parts = {part.key: part.rows for part in visible_parts(commits)}
    failed = [c.failed for c in commits if c.failed is not None and c.failed.key in parts]
    subnets = enumerate(job.ladder.subnets)
    forecasts = [verdict.forecast for verdict in verdicts if verdict.forecast is not None]
    seconds = notes.clock.seconds
    summary = RunSummary(
        run_id=generations[0].run_id,
        output=job.output.url,
        images=sum(parts.values()),
        failed=sum(part.rows for part in failed),
        waiting=len(notes.waiting.entries),
        copies=count_copies(job.output, generations),
        left_out=notes.waiting.left_out,
        budget=" + ".join(budget_of(g) for g in generations if g.kind != "retry"),
        budget_flops=_budget(generations, verdicts),
        full_flops=sum(verdict.full for verdict in verdicts),
        spent_flops=sum(commit.flops for commit in commits),
        objective=job.context.objective,
        predicted=_predicted(job, verdicts),
        subnet_tiles={s.name: sum(c.subnet_tiles[i] for c in commits) for i, s in subnets},
        repaired=notes.repaired,
        expected_seconds=sum(f.expected_seconds for f in forecasts) if forecasts else None,
        timings=Timings(*(seconds[stage] for stage in ("list", "start", "plan", "run"))),
    )
    reports = [
        GenerationReport(
            kind=generation.kind,
            images=generation.images,
            budget=budget_of(generation),
            budget_flops=verdict.total,
            spent_flops=sum(c.flops for c in commits if c.shard.generation == generation.number),
            allocation=verdict.allocation,
            quality=verdict.quality,
            forecast=verdict.forecast,
        )
        for generation, verdict in zip(generations, verdicts, strict=True)
    ]
    return summary, run_document(summary, generations[0].settings, job.ladder, reports)


def _verdict(job: Job, generation: Generation) -> Verdict:
    """What a generation was allocated in the end, over all revisions."""
    return read_state(Terms(job.ladder, job.context.objective), job.output, generation).current()


def _predicted(job: Job, verdicts: Sequence[Verdict]) -> Quality | None:
    """Of all generations together."""
    census = reduce(add, (verdict.census for verdict in verdicts))
    tiles = np.sum([verdict.allocation.tiles for verdict in verdicts], axis=0)
    return predict(job.ladder.lut, census, tiles, job.ladder.grid.tile**2) if census.images.any() else None


def _budget(generations: Sequence[Generation], verdicts: Sequence[Verdict]) -> int:
    """What may be spent in all. A retry with a cap spends what the others left over."""
    return sum(v.total for g, v in zip(generations, verdicts, strict=True) if g.cap_flops is None)
