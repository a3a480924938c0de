"""Undoing what is damaged, so that the run does it again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass

from arm_batch.errors import OutputError, StoreError
from arm_batch.pipeline.job import Job
from arm_batch.runstate.commit import commit_key, read_commit
from arm_batch.runstate.generation import Generation
from arm_batch.runstate.listing import read_shards
from arm_batch.runstate.parts import paths_in, read_paths
from arm_batch.runstate.shard_plan import Shard, ShardId
from arm_batch.runstate.shard_writer import keys_of_done
from arm_batch.runstate.verify import verify_store
from arm_batch.runstate.verify_shard import Problem
from arm_batch.storage.base import ObjectStore


@dataclass(frozen=True)
class Repair:
    """What became of what was damaged, a line for each.

    Attributes:
        undone: taken back, to be done again.
        left: as it was, since to do it again would lose what is sound.
        kept: the shards that this is of.
    """

    undone: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    kept: frozenset[ShardId] = frozenset()


def repair(job: Job, generations: Sequence[Generation]) -> Repair:
    """Read the output back and take back what is damaged: the commits of shards, and lost plans.

    A shard is done again as a whole. So its commit stays where an image that it names could not be made again,
    because its source is gone or has changed.

    Raises:
        OutputError: something is damaged that nothing else holds, such as a listing or an allocation.
        InputError: something is damaged, but INPUT is missing or holds no image.
        StoreError: a store cannot be reached.
    """
    store = job.output
    problems = verify_store(store, generations).problems
    hopeless = [problem for problem in problems if problem.repair == "none"]
    if hopeless:
        raise OutputError(f"{store.url} cannot be repaired: {'; '.join(map(str, hopeless[:3]))}")
    damaged, unplanned = _shards_of(problems, "again"), _shards_of(problems, "plan again")
    kept = dict(_lost_by_redoing(job, generations, damaged | unplanned))
    if (damaged | unplanned) - kept.keys():
        # What is taken back is read again, so that is to be there before anything is taken back.
        job.list_input()
    for key in _lost_plans(problems, kept):
        store.delete(key)
    for shard in sorted(damaged - kept.keys()):
        store.delete(commit_key(shard))
    return Repair(
        tuple(str(problem) for problem in problems if problem.shard not in kept),
        tuple(_told(problem, kept) for problem in problems if problem.shard in kept),
        frozenset(kept),
    )


def _lost_plans(problems: Sequence[Problem], kept: Collection[ShardId]) -> list[str]:
    """Keys of plans that are made again."""
    return [problem.key for problem in problems if problem.repair == "plan again" and problem.shard not in kept]


def _shards_of(problems: Sequence[Problem], how: str) -> set[ShardId]:
    """Shards with a problem that is repaired in this way."""
    return {problem.shard for problem in problems if problem.repair == how and problem.shard is not None}


def _told(problem: Problem, kept: Mapping[ShardId, str]) -> str:
    assert problem.shard is not None
    return (
        f"{problem}; it stays: {kept[problem.shard]} is gone or has changed, and would be lost by doing it again"
    )


def _lost_by_redoing(
    job: Job, generations: Sequence[Generation], damaged: Set[ShardId]
) -> Iterator[tuple[ShardId, str]]:
    """Shards of which an image that is done cannot be done again, and the first such image.

    Where the record of a shard or the rows that it names cannot be read, any image may be done that is not known
    to have failed.
    """
    for generation in generations if damaged else ():
        for shard in read_shards(job.output, generation):
            if shard.id in damaged:
                done = _done_paths(job.output, shard.id)
                if done is None:
                    done = _maybe_done(job.output, generations, shard)
                lost = _first_lost(job, shard, done)
                if lost is not None:
                    yield shard.id, lost


def _maybe_done(store: ObjectStore, generations: Sequence[Generation], shard: Shard) -> set[str]:
    """The images that a shard may have done, where its record or its rows cannot be read.

    Without a record its parts tell, those of other attempts too. Where they cannot be read either, it is all
    images but those known to have failed.
    """
    failed: set[str] = set()
    commit = None
    with suppress(StoreError):
        commit = read_commit(store, shard.id)
        if commit is not None and commit.failed is not None:
            failed = read_paths(store, commit.failed)
    if commit is None:
        with suppress(StoreError):
            return _paths_that_lie_there(store, shard.id)
    # Rows of failures are removed once these have been tried again.
    retries = (retry for g in generations if g.kind == "retry" for retry in read_shards(store, g))
    failed |= {entry.path for retry in retries if retry.origin == shard.id for entry in retry.entries}
    return {entry.path for entry in shard.entries} - failed


def _paths_that_lie_there(store: ObjectStore, shard: ShardId) -> set[str]:
    """The images that any attempt at a shard has done; `StoreError` where one cannot be read."""
    return {path for key in keys_of_done(store, shard) for path in paths_in(store, key)}


def _first_lost(job: Job, shard: Shard, done: Set[str]) -> str | None:
    """The path of the first image that is done and whose source is gone or has changed."""
    sources = (entry for entry in shard.entries if entry.path in done)
    return next((entry.path for entry in sources if not job.context.source.is_unchanged(entry)), None)


def _done_paths(store: ObjectStore, shard: ShardId) -> set[str] | None:
    """The images that a shard has done; None where its record or its rows cannot be read."""
    try:
        commit = read_commit(store, shard)
        return set() if commit is None or commit.done is None else read_paths(store, commit.done)
    except StoreError:
        return None
