"""The run as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from arm_batch.nets.ladder_files import LadderFiles, find_ladder, load_ladder
from arm_batch.pipeline.clock import Clock
from arm_batch.pipeline.generations import begin_run, extend_run, find_run, new_images, retry_run
from arm_batch.pipeline.job import Job, check_writers, open_job
from arm_batch.pipeline.repair import repair
from arm_batch.pipeline.run import Progress, run_generation
from arm_batch.pipeline.summary import Notes, summarize
from arm_batch.report import RUN_KEY, RunSummary
from arm_batch.runtime.cluster import connected
from arm_batch.runtime.executor import Executor, Stop
from arm_batch.runtime.inline import InlineExecutor
from arm_batch.runtime.ray_executor import RayExecutor
from arm_batch.runtime.ray_pool import cluster_kinds
from arm_batch.spec import JobSpec
from arm_batch.store.commit import listed
from arm_batch.store.generation import Generation
from arm_batch.store.manifest import MANIFEST_KEY, finish, missing_shards


def never() -> bool:
    """A `Stop` that never asks for it."""
    return False


def upscale(spec: JobSpec, progress: Progress, stop: Stop = never) -> RunSummary:
    """Upscale an archive within a budget, or go on where an earlier attempt at it was broken off.

    Raises:
        UsageError: the request makes no sense; nothing was written.
        StoppedError: `stop` said so before the end.
        StoreError: a store failed for good; starting again goes on.
    """
    clock = Clock()
    with clock("list"):
        files = load_ladder(find_ladder(spec.ladder))
        job = open_job(spec, files)
        generations = find_run(job)
        repaired = repair(job.output, generations) if generations and spec.resume.repair else []
        if not generations:
            generations = [begin_run(job)]
        missing = {shard.generation for shard in missing_shards(generations, listed(job.output))}
        waiting = new_images(job, generations, complete=not missing)
    with ExitStack() as stack:
        runner = _Runner(stack, job, files, clock, progress, stop)
        runner.run([generation for generation in generations if generation.number in missing])
        if spec.resume.extend and waiting:
            generations.append(extend_run(job, generations, waiting))
            waiting = []
            runner.run(generations[-1:])
        if spec.resume.retry_failed and (retry := retry_run(job, generations)) is not None:
            generations.append(retry)
            runner.run([retry])
    finish(job.output, generations)
    summary, document = summarize(job, generations, Notes(len(waiting), tuple(repaired), clock))
    job.output.write(RUN_KEY, document.encode())
    return summary


class _Runner:
    """Runs generations on an executor that is started for the first of them and ends with `stack`."""

    def __init__(
        self, stack: ExitStack, job: Job, files: LadderFiles, clock: Clock, progress: Progress, stop: Stop
    ) -> None:
        self._stack = stack
        self._job = job
        self._files = files
        self._clock = clock
        self._progress = progress
        self._stop = stop
        self._executor: Executor | None = None
        # What went before the first generation is part of its time.
        self._begun = 0.0

    def run(self, generations: Sequence[Generation]) -> None:
        """Run generations one after the other."""
        for generation in generations:
            # It no longer tells the truth, and readers of a complete output may look at nothing else.
            self._job.output.delete(MANIFEST_KEY)
            if self._executor is None:
                if generation.attempt != self._job.attempt:
                    check_writers(self._job)
                with self._clock("start"):
                    self._executor = self._stack.enter_context(_executor(self._job, self._files))
            run_generation(
                self._executor, self._job, generation, self._clock, self._begun, self._progress, self._stop
            )
            self._begun = self._clock.now


@contextmanager
def _executor(job: Job, files: LadderFiles) -> Iterator[Executor]:
    """The executor asked for, given back at the end."""
    if job.spec.executor == "inline":
        yield InlineExecutor(job.context, files)
        return
    with connected():
        executor = RayExecutor(job.context, files, cluster_kinds(job.spec.workers))
        try:
            yield executor
        finally:
            executor.close()
