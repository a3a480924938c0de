"""The run as a whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice

from arm_batch.core.allocation.budget import Budget, parse_budget
from arm_batch.core.progress import Entered
from arm_batch.core.stop import Stop, never
from arm_batch.errors import BudgetError, OutputError, StoreError
from arm_batch.execution.choice import choose_executor
from arm_batch.execution.engines import choose_engine
from arm_batch.execution.helpers import Helpers
from arm_batch.execution.plan_ahead import MOST_SHARDS
from arm_batch.inputs.listing import Listing
from arm_batch.models.ladder_files import LadderFiles, load_ladder
from arm_batch.pipeline.adopt import adopt_plan
from arm_batch.pipeline.attempt import AttemptLog, command_line
from arm_batch.pipeline.clock import Clock
from arm_batch.pipeline.executors import started
from arm_batch.pipeline.generations import (
    begin_run,
    budget_of,
    extend_run,
    find_run,
    new_images,
    recorded_engine,
    retry_run,
)
from arm_batch.pipeline.job import Job, check_writers, open_job, with_engine
from arm_batch.pipeline.planning import unplanned_shards
from arm_batch.pipeline.quota import give_back
from arm_batch.pipeline.repair import Repair, repair
from arm_batch.pipeline.runner import GenerationRunner
from arm_batch.pipeline.summary import Notes, record_run
from arm_batch.pipeline.telling import Tell, Telling
from arm_batch.report import RunSummary
from arm_batch.runstate.allocation import is_allocated
from arm_batch.runstate.commit import commit_key, listed
from arm_batch.runstate.generation import Generation
from arm_batch.runstate.manifest import MANIFEST_KEY, count_missing, finish, is_finished
from arm_batch.runstate.plan_files import planned
from arm_batch.runstate.shard_plan import Shard, ShardId
from arm_batch.runstate.staging import publish_waiting
from arm_batch.spec import JobSpec


def upscale(spec: JobSpec, progress: Tell, stop: Stop = never, helpers: Helpers | None = None) -> RunSummary:
    """Upscale an archive within a budget, or go on where an earlier attempt at it was broken off.

    Args:
        spec: what was asked for.
        progress: told whenever something is done, in this thread.
        stop: asked between them.
        helpers: that were started for this run; who started them ends them.

    Raises:
        UsageError: the request makes no sense; nothing was written.
        StoppedError: `stop` said so before the end.
        StoreError: a store failed for good; starting again goes on.
        OutputError: OUTPUT is of another run, or holds damage that was to be repaired and cannot be.
    """
    _check_added(spec)
    clock = Clock()
    telling = Telling(clock, progress)
    telling()
    with clock("list"):
        files = load_ladder(spec.plan.ladder_name)
        job = open_job(spec, files)
        generations = find_run(job)
        if not generations:
            job = with_engine(job, choose_engine(spec.plan, files))
        repaired = repair(job, generations) if generations and spec.resume.repair else Repair()
        publish_waiting(job.output)
        generations = _begun(job, generations)
        # As recorded: another driver may have begun the run, where something else is faster.
        job = with_engine(job, recorded_engine(generations[0]))
        missing = count_missing(generations, listed(job.output)).keys()
        unplanned = _without_plans(job, generations, repaired)
        if spec.resume.add_budget is not None and not missing:
            raise BudgetError("every image is done: there is nothing to spend an added budget on")
        waiting = new_images(job, generations, complete=not missing)
    with ExitStack() as stack, _told_that_it_stays(job, repaired):
        runner = _LazyRunner(stack, job, files, clock, telling, stop, helpers or Helpers())
        runner.run([g for g in generations if g.number in missing | unplanned], spec.resume.add_budget)
        waiting = _run_further(job, generations, waiting, repaired, runner)
    if not is_finished(job.output):
        give_back(job, generations)
    _finish(job, generations, repaired)
    summary = record_run(job, generations, Notes(waiting, repaired.undone, clock, runner.ran))
    if repaired.left:
        raise _stays_damaged(job, repaired)
    return summary


def _begun(job: Job, generations: list[Generation]) -> list[Generation]:
    """The generations of the run, which begins here if it has not yet."""
    if job.spec.adopt is not None:
        return adopt_plan(job, job.spec.adopt, generations)
    if generations:
        return generations
    if job.spec.resume.add_budget is not None:
        raise OutputError(f"{job.output.url} holds no run whose budget could be raised")
    return [begin_run(job)]


def _run_further(
    job: Job, generations: list[Generation], waiting: Listing, repaired: Repair, runner: _LazyRunner
) -> Listing:
    """Take up new images and try failed ones again, where that was asked for; returns what still waits."""
    if job.spec.resume.extend and waiting.entries:
        generations.append(extend_run(job, generations, waiting))
        waiting = Listing([], waiting.skipped)
        runner.run(generations[-1:])
    if job.spec.resume.retry_failed and (retry := retry_run(job, generations, repaired.kept)) is not None:
        generations.append(retry)
        runner.run([retry])
    return waiting


def _finish(job: Job, generations: Sequence[Generation], repaired: Repair) -> None:
    """Finish the output; where it cannot be for damage that has to stay, nobody is told to repair it once more."""
    try:
        finish(job.output, generations, job.commits)
    except StoreError as error:
        if repaired.left:
            raise _stays_damaged(job, repaired) from error
        raise


@contextmanager
def _told_that_it_stays(job: Job, repaired: Repair) -> Iterator[None]:
    """Nobody is told to repair once more a record that had to stay as it was."""
    try:
        yield
    except StoreError as error:
        if any(commit_key(shard) in str(error) for shard in repaired.kept):
            raise _stays_damaged(job, repaired) from error
        raise


def _stays_damaged(job: Job, repaired: Repair) -> OutputError:
    return OutputError(f"{job.output.url} stays damaged: {'; '.join(repaired.left[:3])}")


def _without_plans(job: Job, generations: Sequence[Generation], repaired: Repair) -> set[int]:
    """The generations that lack plans of shards which can be made again; none where no repair is asked for."""
    if not job.spec.resume.repair:
        return set()
    lost = {g.number: set(range(g.shards)) - planned(job.output, g.number) for g in generations}
    return {n for n, shards in lost.items() if any(ShardId(n, index) not in repaired.kept for index in shards)}


def _check_added(spec: JobSpec) -> None:
    """Refuse to add what cannot be added to the budget.

    Raises:
        BudgetError: it is neither a share nor FLOPs, or the budget is a pool's.
    """
    added = spec.resume.add_budget
    if added is None:
        return
    if spec.budget.pool is not None:
        raise BudgetError("the budget is a pool's: raise that, with `arm-batch budget add`")
    if added.kind not in ("share", "flops"):
        # Once it is allocated, a budget of whatever kind is one of FLOPs.
        raise BudgetError(
            f"--add-budget {added.text}: add a share such as 10%, or FLOPs; "
            "`arm-batch plan` tells how long each budget takes"
        )


class _LazyRunner:
    """Runs generations on an executor that is started for the first of them and ends with `stack`."""

    def __init__(
        self,
        stack: ExitStack,
        job: Job,
        files: LadderFiles,
        clock: Clock,
        telling: Telling,
        stop: Stop,
        helpers: Helpers,
    ) -> None:
        self._stack = stack
        self._job = job
        self._files = files
        self._clock = clock
        self._telling = telling
        self._stop = stop
        self._helpers = helpers
        self._runner: GenerationRunner | None = None
        self.ran = ""

    def run(self, generations: Sequence[Generation], added: Budget | None = None) -> None:
        """Run generations one after the other, the last with an added budget."""
        for generation in generations:
            # It no longer tells the truth, and readers of a complete output may look at nothing else.
            self._job.output.delete(MANIFEST_KEY)
            if self._runner is None:
                if generation.attempt != self._job.attempt:
                    check_writers(self._job)
                self._runner = self._start(generation)
            self._runner.run(generation, added if generation is generations[-1] else None)

    def _start(self, generation: Generation) -> GenerationRunner:
        """Start the executor for a generation, and more after it."""
        plan = self._job.spec.plan
        choice = choose_executor(plan.executor)
        self.ran = choice.told(plan.workers)
        plan = replace(plan, executor=choice.executor)
        self._telling(Entered("start"))
        with self._clock("start"):
            executor = self._stack.enter_context(
                started(plan, self._job.context, self._files, self._first(generation), self._helpers)
            )
        log = AttemptLog(self._job.output, self._job.attempt, self._clock, self._telling, command_line(sys.argv))
        self._stack.enter_context(log.kept(choice, self.ran, executor.nodes))
        return GenerationRunner(executor, self._job, self._clock, self._telling, self._stop)

    def _first(self, generation: Generation) -> list[Shard]:
        """What is to be planned of a generation, one more than can be planned while a cluster starts at most."""
        output = self._job.output
        # Whether a time can be met is known before any image is read; and plans that are lost after the allocation
        # have to come out as they were, which the budget sees to.
        if parse_budget(budget_of(generation)).seconds is not None or is_allocated(output, generation):
            return []
        unplanned = unplanned_shards(output, generation, planned(output, generation.number))
        return list(islice(unplanned, MOST_SHARDS + 1))
