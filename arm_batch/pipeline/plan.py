"""The dry run: plan an archive or a sample of it, and tell what each budget would buy."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain, islice

from arm_batch.core.allocation.deadline import ClusterProfile
from arm_batch.core.progress import Entered
from arm_batch.core.stop import Stop, never
from arm_batch.errors import OutputError, StoppedError, UsageError
from arm_batch.execution.engines import choose_engine
from arm_batch.execution.helpers import Helpers
from arm_batch.execution.messages import JobContext
from arm_batch.execution.plan_ahead import MOST_SHARDS
from arm_batch.forecast import Forecast
from arm_batch.inputs.listing import Listing, open_input
from arm_batch.models.ladder_files import LadderFiles, load_ladder
from arm_batch.pipeline.clock import Clock
from arm_batch.pipeline.executors import started
from arm_batch.pipeline.forecast import Scored, forecast
from arm_batch.pipeline.generations import check_empty, first_shards
from arm_batch.pipeline.job import check_endpoint, check_ladder, open_output, refuses_second_writers
from arm_batch.pipeline.planning import plan_shards
from arm_batch.pipeline.telling import Tell, Telling
from arm_batch.runstate.generation import Generation, create_generation, list_generations
from arm_batch.runstate.listing import read_names, read_shards
from arm_batch.runstate.plan_files import planned
from arm_batch.runstate.rows import SCHEMA
from arm_batch.runstate.shard_plan import Shard, ShardId
from arm_batch.spec import DEFAULT_ENGINE, DryRunSpec, differences, fingerprint
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.null import NullStore
from arm_batch.storage.open import open_store


def plan(spec: DryRunSpec, progress: Tell, stop: Stop = never, helpers: Helpers | None = None) -> Forecast:
    """Score an archive, or a sample of it, and predict what each budget comes to.

    With `spec.output`, what was found is kept there as a plan that `JobSpec.adopt` takes, and planning goes on
    where an earlier attempt at it was broken off.

    Args:
        spec: what was asked for.
        progress: as of `upscale`.
        stop: asked between them.
        helpers: as of `upscale`.

    Raises:
        UsageError: the request makes no sense; nothing was written.
        StoppedError: `stop` said so before the end.
        StoreError: a store failed for good.
    """
    _check(spec)
    telling = Telling(Clock(), progress)
    telling()
    files = load_ladder(spec.plan.ladder_name)
    context, settings = _open(spec, files)
    where = open_input(spec.plan.input, spec.plan.endpoint_url, spec.plan.reading.column)
    found = where.listing(spec.plan.selection, SCHEMA.names)
    task = _task(spec, context, settings, found)
    kept = planned(context.output, 0)
    unplanned = (shard for shard in task.shards if shard.id.index not in kept)
    first = list(islice(unplanned, MOST_SHARDS + 1))
    cluster_profile: ClusterProfile | None = None
    telling(Entered("start"))
    with started(spec.plan, context, files, first, helpers or Helpers()) as executor:
        try:
            summaries = plan_shards(executor, task.generation, kept, chain(first, unplanned), telling, stop)
        except StoppedError:
            if spec.output is not None:
                raise
            raise StoppedError("stopped before the end; nothing was kept, as there was no --plan-out") from None
        if spec.profiling and any(len(summary.histogram.tiles) for summary in summaries):
            kept_ids = [ShardId(0, index) for index in range(task.generation.shards)]
            cluster_profile = executor.profile(list(task.shards) if spec.output is None else kept_ids)
    scored = Scored(
        summaries=summaries,
        images=task.images,
        scored=task.generation.images,
        waiting=task.waiting,
        skipped=found.skipped,
    )
    return forecast(spec, settings["input"], context, scored, cluster_profile)


def _check(spec: DryRunSpec) -> None:
    if spec.plan.selection.sample is not None and spec.output is not None:
        raise UsageError("--plan-out keeps the plan of a whole archive, not of a sample: leave out --sample")
    if spec.plan.selection.sample is not None and spec.plan.dedup:
        raise UsageError(
            "--dedup looks for copies in all of an archive, not in a sample: leave out one of the two"
        )
    if spec.budget is not None and spec.budget.target_db is None:
        # Of a time nothing can be told, and it is better said now than after planning.
        spec.budget.flops(1)


@dataclass(frozen=True, kw_only=True)
class _Task:
    """What is to be planned.

    Attributes:
        generation: the record of it.
        shards: of it.
        images: in the archive that it stands for.
        waiting: images that came to the input later.
    """

    generation: Generation
    shards: Iterable[Shard]
    images: int
    waiting: int


def _open(spec: DryRunSpec, files: LadderFiles) -> tuple[JobContext, dict[str, str]]:
    """For the stages; and the settings. The sink plays no part in planning, nor how images are encoded."""
    ladder, plan = files.ladder, spec.plan
    check_ladder(ladder, plan)
    input_url = open_store(plan.input, plan.endpoint_url).url
    output: ObjectStore = NullStore()
    if spec.output is not None:
        output = open_output(spec.output, input_url, plan.endpoint_url)
    found = open_input(plan.input, plan.endpoint_url, plan.reading.column)
    pool = "" if spec.budget is None else spec.budget.pool or ""
    check_endpoint(plan.endpoint_url, found, (input_url, spec.output or "", pool))
    context = JobContext(
        source=found.source,
        output=output,
        ladder=ladder,
        objective=plan.objective,
        sink="parquet",
        reading=plan.reading,
        writing=plan.writing,
        large_images=plan.large_images,
        # Of what it takes, only a profiling tells.
        engine=choose_engine(plan, files) if spec.profiling else DEFAULT_ENGINE,
    )
    return context, plan.settings(input_url, ladder)


def _task(spec: DryRunSpec, context: JobContext, settings: dict[str, str], found: Listing) -> _Task:
    """All of the archive or a sample; or what an earlier attempt has begun in the output.

    Raises:
        OutputError: the output holds something else.
    """
    output, paths = context.output, [entry.path for entry in found.entries]
    generations = list_generations(output)
    if generations:
        told = differences(generations[0].settings, settings)
        if generations[0].kind != "plan":
            raise OutputError(f"{output.url} holds a run: a plan needs a folder of its own")
        if told:
            raise OutputError(f"{output.url} holds the plan of something else: {'; '.join(told)}")
        taken, _ = read_names(output, generations)
        new = len(spec.plan.selection.choose(paths, taken))
        return _Task(
            generation=generations[0],
            shards=read_shards(output, generations[0]),
            images=generations[0].images,
            waiting=new,
        )
    check_empty(output)
    if spec.output is not None:
        refuses_second_writers(output, uuid.uuid4().hex, "--plan-out")
    # Of a sample one image a shard, so that each image is counted by itself.
    one_each = spec.plan.selection.sample is not None
    asked = replace(spec.plan, limits=replace(spec.plan.limits, images=1)) if one_each else spec.plan
    shards = first_shards(asked, context.source, found, spec.plan.selection.choose(paths))
    run_id = fingerprint(settings, [(e.path, e.size, e.etag) for shard in shards for e in shard.entries])
    generation = create_generation(output, "plan", 0, run_id, settings, shards, uuid.uuid4().hex)
    return _Task(
        generation=generation, shards=shards, images=len(spec.plan.selection.whole().choose(paths)), waiting=0
    )
