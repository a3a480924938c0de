"""Running one generation: plan what is not planned, allocate once, run what is not committed."""

from __future__ import annotations

import itertools

from arm_batch.budget.archive_budget import ArchiveBudget
from arm_batch.budget.protocol import GenerationBudget
from arm_batch.core.allocation.budget import Budget, parse_budget
from arm_batch.core.allocation.deadline import Deadline, wall_budget
from arm_batch.core.progress import Allocated, Done, Entered, Event, Gained, Manned, UnderWay
from arm_batch.core.stop import Stop
from arm_batch.errors import BudgetError, StoreError
from arm_batch.execution.messages import Partly
from arm_batch.execution.protocol import Executor
from arm_batch.pipeline.clock import Clock
from arm_batch.pipeline.generations import budget_of
from arm_batch.pipeline.job import Job
from arm_batch.pipeline.planning import check_done, plan_shards, unplanned_shards
from arm_batch.pipeline.quota import claim_of, give_back
from arm_batch.pipeline.retries import leave_to_retries, with_what_they_left
from arm_batch.pipeline.telling import Telling
from arm_batch.runstate.allocation import read_waves
from arm_batch.runstate.commit import Commit
from arm_batch.runstate.generation import Generation, discard_generation, list_generations
from arm_batch.runstate.plan_files import plan_key, planned
from arm_batch.runstate.shard_plan import ShardId

STANDING_EVERY_S = 30.0
"""How often a budget is asked how it stands: it adds up what is done then."""


class GenerationRunner:
    """Brings generations of one job to their end, on one executor.

    Args:
        executor: where they run.
        job: that they belong to.
        clock: of the attempt.
        telling: is told of each shard.
        stop: is asked whether to stop.
    """

    def __init__(self, executor: Executor, job: Job, clock: Clock, telling: Telling, stop: Stop) -> None:
        self._executor = executor
        self._job = job
        self._clock = clock
        self._telling = telling
        telling.also(executor.watch)
        self._stop = stop
        # Where on the clock the next generation's time begins: what went before the first is part of its time.
        self._begun = 0.0
        self._asked_s = 0.0

    def run(self, generation: Generation, added: Budget | None) -> None:
        """Bring a generation to its end: afterwards every shard of it is committed.

        Args:
            generation: which.
            added: to its budget, for what is not committed yet.

        Raises:
            BudgetError: no plan meets its budget; then it is as if it had never been.
            StoppedError: `stop` said so first.
        """
        budget = self._host(generation)
        with self._clock("plan"):
            if budget.recorded() is None:
                self._allocate(generation, budget)
            else:
                self._plan_again(generation, budget)
        if added is not None:
            budget.add(added, f"added {added.text} ({self._job.attempt})")
        with self._clock("run"):
            self._run(generation, budget)
        give_back(self._job, [generation])
        self._begun = self._clock.now

    def _host(self, generation: Generation) -> GenerationBudget:
        job = self._job
        asked = parse_budget(budget_of(generation))
        claim = claim_of(self._executor, job, generation)
        return self._executor.host(
            ArchiveBudget(job.ladder, job.context.objective, asked, job.output, generation, claim),
            f"{generation.run_id}-{generation.name}",
        )

    def _allocate(self, generation: Generation, budget: GenerationBudget) -> None:
        """Plan all shards, of which an earlier attempt may have planned some, and allocate to all of them."""
        asked = parse_budget(budget_of(generation))
        try:
            if asked.seconds is not None:
                # Whether it can be met at all is known before the first image is read.
                wall_budget(asked, self._executor.held())
            kept = planned(self._job.output, generation.number)
            unplanned = unplanned_shards(self._job.output, generation, kept)
            summaries = plan_shards(self._executor, generation, kept, unplanned, self._telling, self._stop)
            deadline = None if asked.seconds is None else self._deadline(generation)
            budget.allocate([summary.histogram for summary in summaries], self._executor.at_once(), deadline)
        except BudgetError:
            discard_generation(self._job.output, generation)
            raise

    def _deadline(self, generation: Generation) -> Deadline:
        cluster_profile = self._executor.profile(
            [ShardId(generation.number, index) for index in range(generation.shards)]
        )
        # Measuring takes time too.
        return Deadline(cluster_profile, self._clock.now - self._begun)

    def _plan_again(self, generation: Generation, budget: GenerationBudget) -> None:
        """Plan shards whose plans were lost after the allocation; they must come out as they were."""
        store = self._job.output
        kept = planned(store, generation.number)
        if len(kept) == generation.shards:
            return
        lost = unplanned_shards(store, generation, kept)
        again = with_what_they_left(store, list_generations(store), lost, self._job.commits.refresh())
        made = 0
        for summary in self._executor.plan(again, self._stop):
            made += 1
            if not budget.fits(summary.shard.index, summary.histogram):
                # Another plan than was allocated to is worse than none: `verify` would not see it.
                store.delete(plan_key(summary.shard))
                raise StoreError(
                    f"the lost plan of shard {summary.shard} cannot be made again: its images have changed"
                )
        check_done(self._stop, "plan", generation, len(kept) + made)

    def _run(self, generation: Generation, budget: GenerationBudget) -> None:
        """Run the shards that are not committed."""
        # What the budget does not know to be done, it is told of by whoever does it, here below.
        done = budget.done()
        todo = [ShardId(generation.number, index) for index in range(generation.shards) if index not in done]
        if todo:
            leave_to_retries(self._job.output, list_generations(self._job.output), todo)
        before = self._done_before(generation, done)
        self._telling(
            Entered("run", generation.name, generation.shards, generation.images, before), *self._standing(budget)
        )
        under_way: dict[ShardId, Done] = {}
        for found in self._executor.run(_spread(todo, self._job, generation), budget, self._stop):
            if isinstance(found, Partly):
                under_way[found.shard] = found.done
                self._tell(budget, UnderWay(sum(under_way.values(), Done())))
                continue
            done.add(found.shard.index)
            under_way.pop(found.shard, None)
            self._job.commits.note(found)
            self._tell(budget, _done(found), UnderWay(sum(under_way.values(), Done())))
        check_done(self._stop, "run", generation, len(done))

    def _done_before(self, generation: Generation, done: set[int]) -> Done:
        """What earlier attempts, or another driver, have done of a generation."""
        if not done:
            return Done()
        commits = self._job.commits.refresh().values()
        own = (c for c in commits if c.shard.generation == generation.number and c.shard.index in done)
        return sum(map(_done, own), Done())

    def _tell(self, budget: GenerationBudget, *events: Event) -> None:
        """Tell of events, and of how the budget stands where that is worth asking."""
        now = self._telling.after(*events)
        new = now.gain_db is None and now.shards_done > 0
        # A pool may have granted more meanwhile.
        more = now.budget_flops is not None and now.spent_flops > now.budget_flops
        old = self._clock.now - self._asked_s >= STANDING_EVERY_S or now.shards_done == now.shards
        also = self._standing(budget) if new or more or old else [Manned(self._executor.workers())]
        self._telling(*events, *also)

    def _standing(self, budget: GenerationBudget) -> list[Event]:
        """How the budget and the workers stand."""
        self._asked_s = self._clock.now
        standing = budget.standing()
        return [
            Allocated(standing.tiles, standing.total),
            Gained(standing.gain_db),
            Manned(self._executor.workers()),
        ]


def _done(commit: Commit) -> Done:
    return Done(
        shards=1,
        images=commit.rows,
        failed=commit.failures,
        tiles=sum(commit.subnet_tiles),
        flops=commit.flops,
    )


def _spread(todo: list[ShardId], job: Job, generation: Generation) -> list[ShardId]:
    """The order to run shards in: wave after wave, see `core.allocation.waves`.

    The creator of a generation begins each wave at its front, others anywhere: two at once then share the work.
    """
    if job.attempt == generation.attempt:
        return todo
    ordered: list[ShardId] = []
    waves = read_waves(job.output, generation)
    for _, wave in itertools.groupby(todo, lambda shard: waves.of(shard.index)):
        shards = list(wave)
        start = int(job.attempt, 16) % len(shards)
        ordered += shards[start:] + shards[:start]
    return ordered
