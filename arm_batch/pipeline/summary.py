"""What became of a run, told from what lies in its output."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from arm_batch.budget.state import Terms
from arm_batch.budget.stored_state import read_state
from arm_batch.core.allocation.knapsack import cheapest
from arm_batch.core.allocation.objective import Quality, predict
from arm_batch.errors import StoreError
from arm_batch.inputs.listing import Listing
from arm_batch.pipeline.clock import Clock
from arm_batch.pipeline.generations import budget_of
from arm_batch.pipeline.job import Job
from arm_batch.report import RUN_KEY, GenerationReport, RunSummary, Timings, run_document
from arm_batch.runstate.allocation_record import AllocationRecord
from arm_batch.runstate.attempts import read_attempts
from arm_batch.runstate.commit import Commit, commit_key, visible_parts
from arm_batch.runstate.damage import REPAIR
from arm_batch.runstate.generation import Generation, list_generations
from arm_batch.runstate.listing import count_duplicates
from arm_batch.runstate.manifest import count_missing


@dataclass(frozen=True)
class Notes:
    """What this attempt knows and the output does not.

    Attributes:
        waiting: images of INPUT that no generation has taken up, and what else there is.
        repaired: what was damaged, a line for each.
        clock: of this attempt.
        ran: where it ran, and why there; empty where there was nothing to run.
    """

    waiting: Listing
    repaired: tuple[str, ...]
    clock: Clock
    ran: str


def record_run(job: Job, generations: Sequence[Generation], notes: Notes) -> RunSummary:
    """Write ``run.json`` of a complete run, and return what it says of the whole.

    Another driver may have extended the run meanwhile and be done already: then what is written is of that, too.
    Where it is not done yet, it writes the record again at its own end.

    Raises:
        StoreError: a record is of another ladder, or the store cannot be read or written.
    """
    while True:
        commits = job.commits.refresh()
        counted = [commit for commit in commits.values() if commit.shard.generation < len(generations)]
        summary, document = _summarize(job, generations, counted, notes)
        job.output.write(RUN_KEY, document)
        now = list_generations(job.output)
        if len(now) <= len(generations) or count_missing(now, job.commits.refresh()):
            return summary
        generations = now


def _summarize(
    job: Job, generations: Sequence[Generation], commits: Sequence[Commit], notes: Notes
) -> tuple[RunSummary, bytes]:
    """The summary of generations that are complete, and the bytes of its ``run.json``.

    Raises:
        StoreError: a record is of another ladder.
    """
    _check_ladder(job, commits)
    allocation_records = [_allocation_record(job, generation) for generation in generations]
    parts = {part.key: part.rows for part in visible_parts(commits)}
    seconds = notes.clock.seconds
    predicted, interpolated = _predicted(job, allocation_records)
    summary = RunSummary(
        run_id=generations[0].run_id,
        output=job.output.url,
        images=sum(parts.values()),
        failed=_failures(commits, parts),
        waiting=len(notes.waiting.entries),
        duplicates=count_duplicates(job.output, generations),
        skipped=notes.waiting.skipped,
        budget=" + ".join(budget_of(g) for g in generations if g.kind != "retry"),
        budget_flops=_budget(generations, allocation_records),
        full_flops=sum(allocation_record.full for allocation_record in allocation_records),
        spent_flops=sum(commit.flops for commit in commits),
        objective=job.context.objective,
        predicted=predicted,
        interpolated=interpolated,
        reference=job.ladder.lut.reference,
        subnet_tiles=_tiles_by_subnet(job, commits),
        repaired=notes.repaired,
        expected_seconds=_expected_seconds(allocation_records),
        ran=notes.ran,
        timings=Timings(**{f"{stage}_seconds": seconds[stage] for stage in ("list", "start", "plan", "run")}),
    )
    reports = [
        _report(g, allocation_record, commits)
        for g, allocation_record in zip(generations, allocation_records, strict=True)
    ]
    attempts = read_attempts(job.output)
    return summary, run_document(summary, generations[0].settings, job.ladder, reports, attempts)


def _check_ladder(job: Job, commits: Sequence[Commit]) -> None:
    subnets = len(job.ladder.subnets)
    for commit in commits:
        if len(commit.subnet_tiles) != subnets:
            key = commit_key(commit.shard)
            raise StoreError(f"{job.output.url}/{key} does not count the tiles of {subnets} subnets; {REPAIR}")


def _failures(commits: Sequence[Commit], visible: Collection[str]) -> int:
    """Rows that failed and were not tried again; `visible` are the keys of parts that count."""
    return sum(c.failed.rows for c in commits if c.failed is not None and c.failed.key in visible)


def _tiles_by_subnet(job: Job, commits: Sequence[Commit]) -> dict[str, int]:
    return {
        subnet.name: sum(commit.subnet_tiles[position] for commit in commits)
        for position, subnet in enumerate(job.ladder.subnets)
    }


def _expected_seconds(allocation_records: Sequence[AllocationRecord]) -> float | None:
    """Of the generations whose time was foretold; None where none was."""
    forecasts = [
        allocation_record.forecast
        for allocation_record in allocation_records
        if allocation_record.forecast is not None
    ]
    return sum(forecast.expected_seconds for forecast in forecasts) if forecasts else None


def _report(
    generation: Generation, allocation_record: AllocationRecord, commits: Sequence[Commit]
) -> GenerationReport:
    return GenerationReport(
        kind=generation.kind,
        images=generation.images,
        budget=budget_of(generation),
        budget_flops=allocation_record.total,
        spent_flops=sum(c.flops for c in commits if c.shard.generation == generation.number),
        allocation=allocation_record.allocation,
        quality=allocation_record.quality,
        forecast=allocation_record.forecast,
    )


def _allocation_record(job: Job, generation: Generation) -> AllocationRecord:
    """What a generation was allocated in the end, over all revisions."""
    return read_state(Terms(job.ladder, job.context.objective), job.output, generation).current()


def _predicted(
    job: Job, allocation_records: Sequence[AllocationRecord]
) -> tuple[Quality, Quality] | tuple[None, None]:
    """Of all generations together: what is allocated, and interpolation alone."""
    histogram = reduce(add, (allocation_record.histogram for allocation_record in allocation_records))
    if not histogram.images.any():
        return None, None
    tiles = np.sum([allocation_record.allocation.tiles for allocation_record in allocation_records], axis=0)
    interpolated = cheapest(histogram.tiles, tiles.shape[-1])
    lut, pixels = job.ladder.lut, job.ladder.grid.tile**2
    return predict(lut, histogram, tiles, pixels), predict(lut, histogram, interpolated, pixels)


def _budget(generations: Sequence[Generation], allocation_records: Sequence[AllocationRecord]) -> int:
    """What may be spent in all. A retry with a cap spends what the others left over."""
    return sum(v.total for g, v in zip(generations, allocation_records, strict=True) if g.cap_flops is None)
