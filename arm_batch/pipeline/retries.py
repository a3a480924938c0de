"""Images that a later generation tries again: their old shard leaves them to it when it is done anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from arm_batch.runstate.generation import Generation
from arm_batch.runstate.listing import read_shards
from arm_batch.runstate.plan_files import read_plan, replace_plan
from arm_batch.runstate.shard_plan import ImagePlan, ShardId, leave
from arm_batch.storage.base import ObjectStore


def leave_to_retries(store: ObjectStore, generations: Sequence[Generation], shards: Sequence[ShardId]) -> None:
    """Take the images out of these shards that a later generation has tried again: their rows are the later one's.

    A shard runs after its own retry only when a repair has taken it back. May be repeated.

    Raises:
        StoreError: a listing or plan is damaged, or the store cannot be reached.
    """
    later = [generation for generation in generations if shards and generation.number > shards[0].generation]
    retried = _retried_by(store, later)
    for shard in shards:
        if shard in retried:
            plan = read_plan(store, shard)
            images = tuple(_left(image, retried[shard]) for image in plan.images)
            if images != plan.images:
                replace_plan(store, replace(plan, images=images))


def _retried_by(store: ObjectStore, generations: Sequence[Generation]) -> Mapping[ShardId, Mapping[str, ShardId]]:
    """For each shard, which of its images, by path, which later shard tries again."""
    retried: dict[ShardId, dict[str, ShardId]] = defaultdict(dict)
    for generation in generations:
        for shard in read_shards(store, generation) if generation.kind == "retry" else ():
            if shard.origin is not None:
                retried[shard.origin].update({entry.path: shard.id for entry in shard.entries})
    return retried


def _left(image: ImagePlan, retried: Mapping[str, ShardId]) -> ImagePlan:
    return leave(image, retried[image.entry.path]) if image.entry.path in retried else image
