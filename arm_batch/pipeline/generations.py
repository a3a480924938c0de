"""What a run consists of: its first generation, and those that extend it or try again what failed."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, replace

import pyarrow as pa

from arm_batch.core.allocation.budget import parse_budget
from arm_batch.errors import BudgetError, InputError, OutputError
from arm_batch.execution.messages import shard_entries
from arm_batch.inputs.columns import fitted
from arm_batch.inputs.dedup import put_duplicates_behind
from arm_batch.inputs.listing import Listing
from arm_batch.inputs.sources import Entry, Source
from arm_batch.pipeline.job import Job, check_budget, check_writers
from arm_batch.runstate.allocation import read_revisions
from arm_batch.runstate.attempts import ATTEMPTS
from arm_batch.runstate.commit import Commit, replaced_shards
from arm_batch.runstate.generation import Generation, create_generation, generation_prefix, list_generations
from arm_batch.runstate.listing import passthrough_schema, read_names
from arm_batch.runstate.names import output_names
from arm_batch.runstate.parts import read_paths
from arm_batch.runstate.plan_files import read_plan
from arm_batch.runstate.shard_plan import Shard, ShardId
from arm_batch.spec import Engine, PlanSpec, differences, fingerprint
from arm_batch.storage.base import PROBE, ObjectStore


def find_run(job: Job) -> list[Generation]:
    """The generations of the run in OUTPUT; none where OUTPUT is empty.

    Raises:
        OutputError: OUTPUT belongs to another run, or holds something else.
    """
    generations = list_generations(job.output)
    if not generations:
        try:
            check_empty(job.output)
        except OutputError:
            # Another driver of this very run may have begun it between the two looks.
            generations = list_generations(job.output)
            if not generations:
                raise
        else:
            return []
    if generations[0].kind == "plan":
        raise OutputError(f"{job.output.url} holds a plan: give it as --plan, and another OUTPUT")
    told = _differences(job, generations)
    if told:
        raise OutputError(
            f"{job.output.url} belongs to another run: {'; '.join(told)}. Go on as it was begun, or give another "
            "OUTPUT"
        )
    return generations


def check_empty(output: ObjectStore) -> None:
    """Refuse to begin where there is something of somebody else.

    Raises:
        OutputError: there is.
    """
    # What a process leaves that was killed before there was a run: the probe of the store, and a listing;
    # and the attempts at what was given up again.
    ours = (PROBE, f"{generation_prefix(0)}listing-", ATTEMPTS)
    first = next((info for info in output.list() if not info.key.startswith(ours)), None)
    if first is not None:
        raise OutputError(f"{output.url} is not empty and holds no arm_batch run ({first.key})")


def begin_run(job: Job) -> Generation:
    """Fix generation 0: what INPUT holds now, as far as it is selected.

    Raises:
        InputError: INPUT is missing or holds no image.
        BudgetError: no plan meets the budget.
    """
    found = job.list_input()
    chosen = job.spec.plan.selection.choose([entry.path for entry in found.entries])
    return begin_with(job, first_shards(job.spec.plan, job.context.source, found, chosen))


def first_shards(plan: PlanSpec, source: Source, found: Listing, chosen: Sequence[int]) -> list[Shard]:
    """The shards of generation 0: the entries of `found` in the positions `chosen`."""
    entries = with_copies(plan, source, [found.entries[position] for position in chosen])
    passthrough = None if found.passthrough is None else found.passthrough.of(entry.path for entry in entries)
    return shard_entries(0, entries, output_names(entries, plan.writing.format), plan.limits, passthrough)


def begin_with(job: Job, shards: Sequence[Shard]) -> Generation:
    """Fix generation 0: these shards.

    Raises:
        BudgetError: no plan meets the budget.
    """
    entries = [entry for shard in shards for entry in shard.entries]
    check_budget(job, _originals(entries))
    check_writers(job)
    run_id = fingerprint(job.settings, [(e.path, e.size, e.etag) for e in entries])
    return create_generation(job.output, "initial", 0, run_id, job.settings, shards, job.attempt)


def with_copies(plan: PlanSpec, source: Source, entries: Sequence[Entry]) -> Sequence[Entry]:
    """The entries, and if copies are to be looked for, each copy marked and behind its original."""
    if not plan.dedup:
        return entries
    # A few large images of the same bytes go together too: their output is held once, however often it is written.
    return put_duplicates_behind(source, entries, plan.limits.images, 4 * plan.limits.source_bytes)


def _originals(entries: Sequence[Entry]) -> int:
    return sum(entry.copy_of is None for entry in entries)


def new_images(job: Job, generations: Sequence[Generation], complete: bool) -> Listing:
    """What INPUT holds and no generation has planned, as far as it is selected.

    Args:
        job: the attempt.
        generations: of the run.
        complete: whether nothing is left to do; then INPUT may be gone.

    Raises:
        InputError: INPUT is missing or holds no image, but there is work left.
    """
    try:
        found = job.list_input()
    except InputError:
        if complete:
            return Listing([])
        raise
    taken, _ = read_names(job.output, generations)
    chosen = job.spec.plan.selection.choose([entry.path for entry in found.entries], taken)
    return Listing([found.entries[position] for position in chosen], found.skipped, found.passthrough)


def extend_run(job: Job, generations: Sequence[Generation], found: Listing) -> Generation:
    """Fix a further generation for images that came after the plan, with the budget asked for now.

    Raises:
        InputError: columns of INPUT are of other types now.
    """
    entries = with_copies(job.spec.plan, job.context.source, found.entries)
    check_budget(job, _originals(entries))
    _, taken = read_names(job.output, generations)
    outputs = output_names(entries, job.spec.plan.writing.format, taken)
    number = len(generations)
    own = None if found.passthrough is None else found.passthrough.of(entry.path for entry in entries)
    passthrough = fitted(own, len(entries), passthrough_schema(job.output, generations[0]))
    shards = shard_entries(number, entries, outputs, job.spec.plan.limits, passthrough)
    run_id = generations[0].run_id
    return create_generation(job.output, "extend", number, run_id, job.settings, shards, job.attempt)


def retry_run(job: Job, generations: Sequence[Generation], kept: Container[ShardId]) -> Generation | None:
    """Fix a further generation for all images whose rows say ``failed``; None where there are none.

    Each of its shards stands for the failed rows of one earlier shard, and replaces them when it is committed. A
    budget in per cent is one of these images' own cost, and a target is theirs as far as they can reach it; of a
    budget in FLOPs they get what is left; a pool is asked again.

    Args:
        job: the attempt.
        generations: of the run.
        kept: shards that stay as they are, since they are damaged and cannot be done again.

    Raises:
        BudgetError: nothing is left.
    """
    commits = job.commits.refresh()
    replaced = replaced_shards(commits.values())
    tried = (c for c in commits.values() if c.shard not in replaced and c.shard not in kept)
    failed = [commit for commit in tried if commit.failed is not None]
    if not failed:
        return None
    now = {entry.path: entry for entry in job.list_input().entries}
    number = len(generations)
    shards = [_retried(job.output, ShardId(number, index), commit, now) for index, commit in enumerate(failed)]
    cap = None
    if job.spec.budget.kind not in ("share", "quality", "pool"):
        cap = _left(job, generations, commits.values())
    return create_generation(
        job.output, "retry", number, generations[0].run_id, job.settings, shards, job.attempt, cap
    )


def budget_of(generation: Generation) -> str:
    """The budget of a generation as it was written."""
    return generation.settings["budget"]


def recorded_engine(generation: Generation) -> Engine:
    """What runs nets in the run of this generation; PyTorch did, in float32, before there was a choice."""
    settings = generation.settings
    return Engine(
        "openvino" if settings.get("runtime") == "openvino" else "torch",
        "bf16" if settings.get("precision") == "bf16" else "fp32",
    )


def _differences(job: Job, generations: Sequence[Generation]) -> list[str]:
    """What of the settings is not as it was; a budget may be that of any generation, or new with --extend."""
    free = {"budget"} | {name for name in ("runtime", "precision") if getattr(job.spec.plan, name) == "auto"}
    before = asdict(recorded_engine(generations[0])) | {"borders": "mirrored"}
    told = differences(
        before | generations[0].settings,
        {name: value for name, value in job.settings.items() if name not in free},
    )
    budgets = list(dict.fromkeys(budget_of(generation) for generation in generations))
    same = any(job.spec.budget.is_same(parse_budget(text)) for text in budgets)
    if not same and not job.spec.resume.extend:
        told.append(f"budget was {' and '.join(map(repr, budgets))}, is {job.spec.budget.text!r}")
    return told


def _retried(store: ObjectStore, shard: ShardId, commit: Commit, now: dict[str, Entry]) -> Shard:
    assert commit.failed is not None
    failed = read_paths(store, commit.failed)
    plan = read_plan(store, commit.shard)
    again = [image.entry.path in failed for image in plan.images]
    images = [image for image, wanted in zip(plan.images, again, strict=True) if wanted]
    passthrough = None if plan.passthrough is None else plan.passthrough.filter(pa.array(again))
    entries = _entries_now([image.entry for image in images], now)
    return Shard(shard, entries, tuple(image.output for image in images), commit.shard, passthrough)


def _entries_now(before: Sequence[Entry], now: dict[str, Entry]) -> tuple[Entry, ...]:
    """The entries of images as the input has them now. What is gone keeps its old one, and fails again saying so.

    A copy stays one as long as neither it nor the other has changed.
    """
    entries = [now.get(entry.path, entry) for entry in before]
    same = {new.path for new, old in zip(entries, before, strict=True) if new == replace(old, copy_of=new.copy_of)}
    duplicates = [old.copy_of if {old.path, old.copy_of} <= same else None for old in before]
    return tuple(replace(entry, copy_of=copy) for entry, copy in zip(entries, duplicates, strict=True))


def _left(job: Job, generations: Sequence[Generation], commits: Iterable[Commit]) -> int:
    revisions = [
        read_revisions(job.output, generation) for generation in generations if generation.kind != "retry"
    ]
    total = sum(allocation_records[-1].total for allocation_records in revisions if allocation_records)
    left = total - sum(commit.flops for commit in commits)
    if left <= 0:
        raise BudgetError("nothing is left of the budget to try the failed images again")
    return left
