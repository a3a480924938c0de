"""A job that is checked: its stores are open, its ladder fits, and nothing was written yet."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from arm_batch.budget.quota import SharedQuota
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.prediction.ladder import Ladder
from arm_batch.errors import BudgetError, InputError, LadderError, OutputError, StoreError, UsageError
from arm_batch.execution.messages import JobContext
from arm_batch.inputs.listing import Input, Listing, open_input
from arm_batch.models.ladder_files import LadderFiles
from arm_batch.runstate.commit import CommitLog
from arm_batch.runstate.rows import SCHEMA
from arm_batch.spec import Engine, JobSpec, PlanSpec
from arm_batch.storage.base import PROBE, ObjectStore, honours_create
from arm_batch.storage.local import LocalStore
from arm_batch.storage.open import open_store
from arm_batch.storage.single_writer import SingleWriterStore


@dataclass(frozen=True, kw_only=True)
class Job:
    """One attempt at a run.

    Attributes:
        spec: what was asked for.
        attempt: names this attempt; no other has the name.
        input: where the images come from.
        settings: see `JobSpec.settings`.
        context: for the stages.
        commits: the records in OUTPUT, once it is repaired where that was asked for.
    """

    spec: JobSpec
    attempt: str
    input: Input
    settings: dict[str, str]
    context: JobContext
    commits: CommitLog

    @property
    def output(self) -> ObjectStore:
        """Where everything is written."""
        return self.context.output

    @property
    def ladder(self) -> Ladder:
        """The subnets to choose from."""
        return self.context.ladder

    def list_input(self) -> Listing:
        """The images that INPUT holds now and that the patterns of the job let through.

        Raises:
            InputError: it is missing or holds none.
        """
        return self.input.listing(self.spec.plan.selection, SCHEMA.names)


def open_job(spec: JobSpec, files: LadderFiles) -> Job:
    """Check a job as far as that goes without listing its input or writing to its output.

    Raises:
        UsageError: it makes no sense.
        StoreError: the output cannot be reached.
    """
    ladder, plan = files.ladder, spec.plan
    check_ladder(ladder, plan)
    input_url = open_store(plan.input, plan.endpoint_url).url
    output = open_output(spec.output, input_url, plan.endpoint_url)
    found = open_input(plan.input, plan.endpoint_url, plan.reading.column)
    check_endpoint(plan.endpoint_url, found, (input_url, output.url, spec.budget.pool or ""))
    if spec.single_writer:
        output = SingleWriterStore(output)
    context = JobContext(
        source=found.source,
        output=output,
        ladder=ladder,
        objective=plan.objective,
        sink=spec.sink,
        reading=plan.reading,
        writing=plan.writing,
        large_images=plan.large_images,
    )
    return Job(
        spec=spec,
        attempt=uuid.uuid4().hex,
        input=found,
        settings=spec.settings(input_url, ladder),
        context=context,
        commits=CommitLog(output),
    )


def with_engine(job: Job, engine: Engine) -> Job:
    """The job with what runs its nets, decided or recorded."""
    return replace(job, settings=job.settings | asdict(engine), context=replace(job.context, engine=engine))


def check_endpoint(endpoint_url: str | None, found: Input, urls: Sequence[str]) -> None:
    """Refuse an endpoint that nothing would be read from or written to: what is a path was meant as a bucket.

    Args:
        endpoint_url: that was given, if any.
        found: INPUT; a list may name what is in S3.
        urls: of INPUT and all else that is read or written; empty ones count for nothing.

    Raises:
        UsageError: nothing is in S3.
    """
    if endpoint_url is not None and found.places is None and not any(url.startswith("s3://") for url in urls):
        told = " and ".join(url for url in urls if url)
        raise UsageError(f"the endpoint {endpoint_url} is of no use: {told} are no s3:// URLs")


def check_ladder(ladder: Ladder, plan: PlanSpec) -> None:
    """Refuse a ladder that cannot do what is asked of it.

    Raises:
        LadderError: it is for another scale.
    """
    if plan.scale not in (None, ladder.scale):
        raise LadderError(f"{plan.ladder_name} is a ladder for x{ladder.scale}, not x{plan.scale}")


def open_output(url: str, input_url: str, endpoint_url: str | None) -> ObjectStore:
    """The store at `url`.

    Raises:
        InputError: it lies inside the input.
        OutputError: it is a file, or below one.
    """
    output = open_store(url, endpoint_url)
    path = Path(output.url)
    if isinstance(output, LocalStore) and any(place.is_file() for place in (path, *path.parents)):
        raise OutputError(f"OUTPUT {output.url} is a file, or below one: give a folder")
    if (output.url.rstrip("/") + "/").startswith(input_url.rstrip("/") + "/"):
        raise InputError(f"OUTPUT {output.url} lies inside INPUT {input_url}: results would become input")
    return output


def check_writers(job: Job) -> None:
    """Refuse a store on which two writers could both win, unless the user vouches that there is only one.

    Raises:
        OutputError: the store overwrites where it should refuse, or is a folder that cannot be made or written.
        StoreError: it cannot be reached or written.
    """
    if not (job.spec.single_writer or refuses_second_writers(job.output, job.attempt, "OUTPUT")):
        raise OutputError(
            f"{job.output.url}: this store ignores If-None-Match, so two writers could overwrite each other; "
            "if no other process writes there, say so with --single-writer"
        )


def refuses_second_writers(output: ObjectStore, attempt: str, name: str) -> bool:
    """Whether a store can be written, and keeps what the first of two writers has created.

    Args:
        output: the store.
        attempt: an id that no other probe has.
        name: of the option that it was given by.

    Raises:
        OutputError: it is a folder that cannot be made or written.
        StoreError: it cannot be reached or written.
    """
    try:
        return honours_create(output, attempt)
    except StoreError as error:
        if not isinstance(output, LocalStore):
            raise
        told = str(error).replace(f"/{PROBE}{attempt}", "")
        raise OutputError(f"{name} cannot be written: {told}") from error


def check_budget(job: Job, images: int) -> None:
    """Refuse a budget of which it is plain, before any image is read, that no plan meets it.

    Raises:
        BudgetError: it is less than interpolation costs for one tile of each image.
    """
    if job.spec.budget.seconds is not None or job.spec.budget.target_db is not None:
        # What fits into a time is known only when the machines have been measured; a target, when all is planned.
        return
    costs = job.ladder.costs
    floor = images * int(costs[0])
    if job.spec.budget.pool is not None:
        _check_pool(open_store(job.spec.budget.pool, job.spec.plan.endpoint_url), job.spec.plan.objective, floor)
        return
    if job.spec.budget.flops(images * int(costs[-1])) < floor:
        share = int(costs[0]) / int(costs[-1])
        raise BudgetError(
            f"the budget {job.spec.budget.text} is less than interpolation alone needs: {share:.2%} of the "
            f"largest subnet everywhere, and at least {floor:,} FLOP for {images:,} images"
        )


def _check_pool(store: ObjectStore, objective: Objective, floor: int) -> None:
    state = SharedQuota(store).state()
    state.check_open(objective)
    if state.total - state.fixed < floor:
        raise BudgetError(
            f"{state.total - state.fixed:,} FLOPs are left of the pool {state.name}, less than the {floor:,} that "
            "interpolation of one tile of each image needs"
        )
