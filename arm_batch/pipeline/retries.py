"""Images that a later generation tries again: their old shard leaves them to it when it is done anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace

from arm_batch.runstate.commit import Commit
from arm_batch.runstate.generation import Generation
from arm_batch.runstate.listing import read_shards
from arm_batch.runstate.plan_files import read_plan, replace_plan
from arm_batch.runstate.shard_plan import Shard, ShardId, leave
from arm_batch.storage.base import ObjectStore


def leave_to_retries(store: ObjectStore, generations: Sequence[Generation], shards: Sequence[ShardId]) -> None:
    """Take the images out of these shards that a later generation has tried again: their rows are the later one's.

    A shard runs after its own retry only when a repair has taken it back. May be repeated.

    Raises:
        StoreError: a listing or plan is damaged, or the store cannot be reached.
    """
    retried = _retried_by(store, generations, set(shards))
    for shard in sorted(retried):
        plan = read_plan(store, shard)
        images = leave(plan.images, retried[shard])
        if images != plan.images:
            replace_plan(store, replace(plan, images=images))


def with_what_they_left(
    store: ObjectStore,
    generations: Sequence[Generation],
    shards: Iterable[Shard],
    commits: Mapping[ShardId, Commit],
) -> Iterator[Shard]:
    """Shards whose plans were lost, told what to leave out again: what their records say that they left.

    Raises:
        StoreError: a listing is damaged, or the store cannot be reached.
    """
    left = {shard: set(commit.left) for shard, commit in commits.items() if commit.left}
    retried = _retried_by(store, generations, left.keys())
    for shard in shards:
        later = retried.get(shard.id, {})
        yield replace(shard, left={path: retry for path, retry in later.items() if retry in left[shard.id]})


def _retried_by(
    store: ObjectStore, generations: Sequence[Generation], shards: Set[ShardId]
) -> Mapping[ShardId, Mapping[str, ShardId]]:
    """For each of these shards, which of its images, by path, which later shard tries again."""
    retried: dict[ShardId, dict[str, ShardId]] = defaultdict(dict)
    first = min((shard.generation for shard in shards), default=len(generations))
    for generation in generations[first + 1 :]:
        for shard in read_shards(store, generation) if generation.kind == "retry" else ():
            if shard.origin is not None and shard.origin in shards:
                retried[shard.origin].update({entry.path: shard.id for entry in shard.entries})
    return retried
