"""Beginning a run with the plan of a dry run: its images are not decoded for planning again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from arm_batch.errors import OutputError, UsageError
from arm_batch.pipeline.generations import begin_with
from arm_batch.pipeline.job import Job
from arm_batch.runstate.generation import Generation, list_generations
from arm_batch.runstate.listing import read_shards
from arm_batch.runstate.plan_files import planned, read_plan, write_plan
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.spec import differences
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.open import open_store


def adopt_plan(job: Job, url: str, generations: Sequence[Generation]) -> list[Generation]:
    """Take over the listing and the shard plans in the folder at `url`.

    What is there already stays, so that this can be broken off and repeated; the run then goes on like any other.

    Args:
        job: the attempt.
        url: of the folder.
        generations: of the run in OUTPUT, as `find_run` gives them.

    Returns:
        The generations of the run, at least one.

    Raises:
        UsageError: there is no complete plan, or it was made for other settings.
        OutputError: OUTPUT holds a run of another plan.
        BudgetError: no plan meets the budget.
    """
    store = open_store(url, job.spec.plan.endpoint_url)
    plan = _complete_plan(store)
    told = differences(plan.settings, {name: job.settings[name] for name in plan.settings})
    if told:
        raise UsageError(f"{store.url} is a plan for something else: {'; '.join(told)}")
    found = list(generations) or [begin_with(job, list(read_shards(store, plan)))]
    pairs = zip_longest(read_shards(store, plan), read_shards(job.output, found[0]))
    if any(ours != theirs for ours, theirs in pairs):
        raise OutputError(f"{job.output.url} holds a run that was not begun with the plan in {store.url}")
    for index in sorted(planned(store, 0) - planned(job.output, 0)):
        write_plan(job.output, read_plan(store, ShardId(0, index)))
    return found


def _complete_plan(store: ObjectStore) -> Generation:
    generations = list_generations(store)
    if not generations or generations[0].kind != "plan":
        raise UsageError(f"{store.url} holds no plan: `arm-batch plan INPUT --plan-out FOLDER` makes one")
    plan = generations[0]
    done = len(planned(store, 0))
    if done < plan.shards:
        raise UsageError(
            f"the plan in {store.url} is not complete ({done:,} of {plan.shards:,} shards): "
            "run `arm-batch plan` with the same --plan-out again"
        )
    return plan
