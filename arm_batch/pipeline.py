"""The main job: list, plan, allocate, run, commit."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from arm_batch.errors import InputError, LadderError, OutputError, UsageError
from arm_batch.nets.ladder_files import LadderFiles, find_ladder, load_ladder
from arm_batch.report import RUN_KEY, RunSummary, Timings, run_document
from arm_batch.runtime.budget import ALLOCATION_KEY, ArchiveBudget, Verdict
from arm_batch.runtime.cluster import connected
from arm_batch.runtime.executor import BudgetPort, Executor
from arm_batch.runtime.inline import InlineExecutor
from arm_batch.runtime.ray_executor import RayExecutor
from arm_batch.runtime.work import JobContext, Shard, shard_entries
from arm_batch.spec import JobSpec, fingerprint
from arm_batch.store.codecs import FORMATS
from arm_batch.store.names import output_names
from arm_batch.store.objects import ObjectStore, open_store
from arm_batch.store.sinks import Commit, committed
from arm_batch.store.sources import Source, open_input

SHARD_IMAGES = 32
"""Images per shard: enough to fill batches, few enough that a lost shard is soon done again."""

SHARD_BYTES = 2 * 2**20
"""Source bytes per shard. A JPEG of this size holds some 10 megapixels, at x4 half a gigabyte of pixels."""

Progress = Callable[[str, int, int], None]
"""Called with the stage (``plan``, ``run``), shards done and shards in all."""


@dataclass(frozen=True)
class Run:
    """A run that is checked and ready to start."""

    run_id: str
    settings: dict[str, str]
    context: JobContext
    shards: list[Shard]


def upscale(spec: JobSpec, progress: Progress) -> RunSummary:
    """Upscale an archive within a budget.

    Shards that an earlier attempt of the same run has committed are not run again.

    Raises:
        UsageError: the request makes no sense; nothing was written.
    """
    laps = [time.monotonic()]
    files = load_ladder(find_ladder(spec.ladder))
    run = prepare(spec, files)
    laps.append(time.monotonic())
    with _executor(spec, run.context, files) as executor:
        laps.append(time.monotonic())
        budget = executor.host(
            ArchiveBudget(run.context.ladder, spec.budget, run.context.output, run.run_id, run.settings),
            run.run_id,
        )
        verdict = _plan_shards(executor, budget, run, progress)
        laps.append(time.monotonic())
        commits = _run_shards(executor, budget, run, progress)
        spent = budget.spent()
    laps.append(time.monotonic())
    timings = Timings(*(after - before for before, after in itertools.pairwise(laps)))
    summary = _summarize(spec, run, verdict, commits, spent, timings)
    document = run_document(
        summary, run.settings, run.context.ladder, verdict.allocation, [commit.part for commit in commits]
    )
    run.context.output.write(RUN_KEY, document.encode())
    return summary


def prepare(spec: JobSpec, files: LadderFiles) -> Run:
    """Check a job against its input and output, without writing anything."""
    ladder = files.ladder
    if ladder.scale != spec.scale:
        raise LadderError(f"{spec.ladder} is a ladder for x{ladder.scale}, not x{spec.scale}")
    if spec.format not in FORMATS:
        raise UsageError(f"unknown format {spec.format!r}; known: {', '.join(FORMATS)}")
    store, entries = open_input(spec.input, spec.endpoint_url)
    output = open_store(spec.output, spec.endpoint_url)
    input_url = open_store(spec.input, spec.endpoint_url).url
    if (output.url.rstrip("/") + "/").startswith(input_url.rstrip("/") + "/"):
        raise InputError(f"OUTPUT {output.url} lies inside INPUT {input_url}: results would become input")
    settings = spec.settings(input_url, ladder.digest)
    run_id = fingerprint(settings, [(e.path, e.size, e.etag) for e in entries])
    _check_output(output, run_id, settings)
    shards = shard_entries(entries, output_names(entries, spec.format), SHARD_IMAGES, SHARD_BYTES)
    context = JobContext(Source(store), output, ladder, spec.sink, spec.format, spec.quality)
    return Run(run_id, settings, context, shards)


def _plan_shards(executor: Executor, budget: BudgetPort, run: Run, progress: Progress) -> Verdict:
    for done, summary in enumerate(executor.plan(run.shards), start=1):
        budget.register(summary.index, summary.histogram)
        progress("plan", done, len(run.shards))
    return budget.allocate()


def _run_shards(executor: Executor, budget: BudgetPort, run: Run, progress: Progress) -> list[Commit]:
    commits = committed(run.context.output)
    for commit in commits.values():
        budget.begin(commit.shard)
        budget.settle(commit.shard, commit.flops)
    todo = [shard.index for shard in run.shards if shard.index not in commits]
    progress("run", len(commits), len(run.shards))
    for commit in executor.run(todo, budget):
        commits[commit.shard] = commit
        progress("run", len(commits), len(run.shards))
    return [commits[shard.index] for shard in run.shards]


def _summarize(
    spec: JobSpec, run: Run, verdict: Verdict, commits: list[Commit], spent: int, timings: Timings
) -> RunSummary:
    subnets = run.context.ladder.subnets
    return RunSummary(
        run_id=run.run_id,
        output=run.context.output.url,
        images=sum(commit.rows for commit in commits),
        failed=sum(commit.failed for commit in commits),
        budget=spec.budget.text,
        budget_flops=verdict.total,
        full_flops=verdict.full,
        spent_flops=spent,
        psnr_predicted_db=verdict.psnr_predicted_db,
        subnet_tiles={s.name: sum(c.subnet_tiles[i] for c in commits) for i, s in enumerate(subnets)},
        timings=timings,
    )


def _check_output(output: ObjectStore, run_id: str, settings: dict[str, str]) -> None:
    """Refuse an output that holds anything but an earlier attempt at this very run."""
    first = next(iter(output.list()), None)
    if first is None:
        return
    try:
        found = json.loads(output.read(ALLOCATION_KEY))
    except FileNotFoundError:
        raise OutputError(f"{output.url} is not empty and holds no arm_batch run ({first.key})") from None
    if found["run_id"] == run_id:
        return
    told = [
        f"{name} was {found['settings'].get(name)!r}, is {value!r}"
        for name, value in settings.items()
        if found["settings"].get(name) != value
    ] or ["the images of INPUT have changed"]
    raise OutputError(f"{output.url} belongs to another run: {'; '.join(told)}")


@contextmanager
def _executor(spec: JobSpec, context: JobContext, files: LadderFiles) -> Iterator[Executor]:
    """The executor asked for, given back at the end."""
    if spec.executor == "inline":
        yield InlineExecutor(context, files)
        return
    with connected():
        executor = RayExecutor(context, files, spec.workers)
        try:
            yield executor
        finally:
            executor.close()
