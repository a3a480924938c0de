"""Reading an output back: is all there, whole, and as the plan and the records say?"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from arm_batch.core.allocation.knapsack import spend_of
from arm_batch.core.large_images import LargeImages
from arm_batch.errors import StoreError
from arm_batch.runstate.allocation import allocation_key, read_revisions
from arm_batch.runstate.allocation_record import AllocationRecord
from arm_batch.runstate.commit import Commit, commit_key, listed, replaced_shards
from arm_batch.runstate.damage import LOST
from arm_batch.runstate.generation import Generation
from arm_batch.runstate.listing import read_shards
from arm_batch.runstate.manifest import MANIFEST_KEY, count_missing, is_among, manifest_of, read_manifest
from arm_batch.runstate.plan_files import plan_key, planned
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.runstate.shard_writer import DATA
from arm_batch.runstate.staging import STAGING, staged_of
from arm_batch.runstate.tars import TARS
from arm_batch.runstate.verify_image import READ_BACK
from arm_batch.runstate.verify_shard import (
    Findings,
    Problem,
    about,
    read_plan_about,
    verify_record,
    verify_shard,
)
from arm_batch.storage.base import ObjectStore


@dataclass(frozen=True)
class Verification:
    """What reading an output back came to.

    Attributes:
        problems: all that is wrong.
        images: rows that count.
        failed: rows among them with the status ``failed``.
        left: shards still to do.
    """

    problems: tuple[Problem, ...]
    images: int
    failed: int
    left: int


def verify_store(
    store: ObjectStore, generations: Sequence[Generation], large_images: LargeImages = READ_BACK
) -> Verification:
    """Read back every plan, record, part and image of an output.

    Args:
        store: the output.
        generations: of the run.
        large_images: which images are read in strips.

    Raises:
        StoreError: the store cannot be reached.
    """
    problems: list[Problem] = []
    shards, known = listed(store), dict[ShardId, bytes]()
    for generation in generations:
        problems += _verify_listing(store, generation, known)
    allocation_records, broken = _read_revisions(store, generations)
    with ThreadPoolExecutor(os.cpu_count()) as readers:
        records = list(readers.map(partial(verify_record, store), sorted(shards)))
        commits, unreadable = _sorted_out(records)
        each = _verify_commits(store, readers, commits, allocation_records, known, large_images)
    read = {commit.shard for commit in commits}
    for number, revisions in allocation_records.items():
        problems += _verify_plans(store, generations[number], bool(revisions), read, known)
    problems += broken
    problems += unreadable
    problems += [problem for findings in each for problem in findings.problems]
    problems += _verify_ledger(generations, allocation_records, commits)
    problems += _verify_rows(each)
    problems += _verify_strays(generations, shards)
    left = sum(count_missing(generations, shards).values())
    if not left and len(commits) == len(shards):
        problems += _verify_end(store, generations, commits)
    return _verification(problems, each, left)


def _sorted_out(records: Sequence[Commit | Problem | None]) -> tuple[list[Commit], list[Problem]]:
    commits = [record for record in records if isinstance(record, Commit)]
    return commits, [record for record in records if isinstance(record, Problem)]


def _verification(problems: Sequence[Problem], each: Sequence[Findings], left: int) -> Verification:
    failed = sum(len(findings.failed) for findings in each)
    return Verification(tuple(problems), sum(len(f.done) for f in each) + failed, failed, left)


def _read_revisions(
    store: ObjectStore, generations: Sequence[Generation]
) -> tuple[dict[int, list[AllocationRecord]], list[Problem]]:
    """The allocations of each generation, by its number; those that cannot be read are problems."""
    allocation_records: dict[int, list[AllocationRecord]] = {}
    problems = []
    for generation in generations:
        try:
            allocation_records[generation.number] = read_revisions(store, generation)
        except StoreError as error:
            problems.append(Problem(allocation_key(generation), str(error), "none"))
    return allocation_records, problems


def _verify_commits(
    store: ObjectStore,
    readers: ThreadPoolExecutor,
    commits: Sequence[Commit],
    allocation_records: Mapping[int, Sequence[AllocationRecord]],
    known: Mapping[ShardId, bytes],
    large_images: LargeImages,
) -> list[Findings]:
    """What each committed shard comes to; `known` is what its plan has to be about."""
    costs = {number: revisions[0].costs for number, revisions in allocation_records.items() if revisions}
    replaced, staged = replaced_shards(commits), staged_of(store, commits)

    def verified(commit: Commit) -> Findings:
        own = costs.get(commit.shard.generation, ())
        about_it = known.get(commit.shard)
        return verify_shard(store, commit, own, commit.shard in replaced, staged, large_images, about_it)

    return list(readers.map(verified, commits))


def _verify_listing(store: ObjectStore, generation: Generation, known: dict[ShardId, bytes]) -> Iterator[Problem]:
    """Adds to `known` what the plan of each shard has to be about."""
    try:
        known.update((shard.id, about(shard.entries, shard.origin)) for shard in read_shards(store, generation))
    except StoreError as error:
        yield Problem(generation.listing, str(error), "none")


def _verify_plans(
    store: ObjectStore,
    generation: Generation,
    allocated: bool,
    committed: set[ShardId],
    known: Mapping[ShardId, bytes],
) -> Iterator[Problem]:
    """The plans of shards that are listed and have no record that can be read; the others are read with theirs."""
    kept = planned(store, generation.number)
    for shard in (shard for shard in known if shard.generation == generation.number):
        # Before the allocation it may simply not be planned yet.
        if shard not in committed and (allocated or shard.index in kept):
            try:
                read_plan_about(store, shard, known[shard])
            except StoreError as error:
                yield Problem(plan_key(shard), str(error), "plan again", shard)


def _verify_ledger(
    generations: Sequence[Generation],
    allocation_records: Mapping[int, Sequence[AllocationRecord]],
    commits: Sequence[Commit],
) -> Iterator[Problem]:
    """No generation spent more than its budget, and no revision was allocated more."""
    for generation in generations:
        if generation.number not in allocation_records:
            # It is damaged, which was told.
            continue
        revisions = allocation_records[generation.number]
        own = [commit for commit in commits if commit.shard.generation == generation.number]
        if not revisions and own:
            told = f"{len(own)} shards are committed without an allocation"
            yield Problem(allocation_key(generation), told, "none")
        yield from _missing_revision(generation, len(revisions), own)
        yield from _overspent(generation, revisions, sum(commit.flops for commit in own))


def _overspent(generation: Generation, revisions: Sequence[AllocationRecord], spent: int) -> Iterator[Problem]:
    for number, revision in enumerate(revisions):
        cost = spend_of(revision.allocation.tiles, np.array(revision.costs, np.int64))
        if cost != revision.allocation.spend or cost > revision.total:
            key = allocation_key(generation, number)
            yield Problem(key, "its spend does not fit its tiles and budget", "none")
    if revisions and spent > revisions[-1].total:
        told = f"{spent:,} FLOPs are spent of a budget of {revisions[-1].total:,}"
        yield Problem(allocation_key(generation, len(revisions) - 1), told, "none")


def _missing_revision(generation: Generation, revisions: int, commits: Sequence[Commit]) -> Iterator[Problem]:
    """The allocation that a shard was done by is there; one of no shard yet may as well never have been."""
    last = max(commits, key=lambda commit: commit.revision or 0, default=None)
    if last is not None and revisions <= (last.revision or 0) and revisions > 0:
        told = f"is missing, but shard {last.shard} was done by allocation {last.revision}; {LOST}"
        yield Problem(allocation_key(generation, revisions), told, "none")


def _verify_rows(each: Sequence[Findings]) -> Iterator[Problem]:
    images = Counter(path for findings in each for path in (*findings.done, *findings.failed))
    for path, count in images.items():
        if count > 1:
            yield Problem(DATA, f"{path} has {count} rows", "none")


def _verify_strays(generations: Sequence[Generation], shards: set[ShardId]) -> Iterator[Problem]:
    for stray in sorted(shard for shard in shards if not is_among(shard, generations)):
        yield Problem(commit_key(stray), "no generation has this shard", "none", stray)


def _verify_end(
    store: ObjectStore, generations: Sequence[Generation], commits: Sequence[Commit]
) -> Iterator[Problem]:
    """Once all is committed there is a manifest that names all parts, and nothing waits to be moved or removed."""
    right = manifest_of(generations, commits)
    try:
        manifest = read_manifest(store)
    except StoreError as error:
        yield Problem(MANIFEST_KEY, str(error), "finish")
        return
    if manifest is None:
        yield Problem(MANIFEST_KEY, "all is committed, but the run was not finished: start it again", "finish")
        return
    if manifest != right:
        yield Problem(MANIFEST_KEY, "does not name the parts that count", "finish")
    named = {part.key for part in (*right.parts, *right.tars)}
    for prefix in (DATA, TARS, STAGING):
        for info in store.list(prefix):
            if info.key not in named:
                yield Problem(info.key, "no record names it", "finish")
