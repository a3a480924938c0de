"""Images that a later generation tries again: the shard that they failed in must not do them as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from arm_batch.store.generation import Generation, read_shards
from arm_batch.store.objects import ObjectStore
from arm_batch.store.plan import ImagePlan, ShardId, read_plan, replace_plan


def retried_paths(store: ObjectStore, generations: Sequence[Generation]) -> dict[ShardId, set[str]]:
    """The paths of each shard that a later generation tries again.

    Raises:
        StoreError: a listing is damaged, or the store cannot be reached.
    """
    return {
        shard.origin: {entry.path for entry in shard.entries}
        for generation in generations
        if generation.kind == "retry"
        for shard in read_shards(store, generation)
        if shard.origin is not None
    }


def leave_to_retries(store: ObjectStore, generations: Sequence[Generation], shards: Sequence[ShardId]) -> None:
    """Let the images of these shards fail that a later generation has tried again, also where they would not now.

    A shard runs after its own retry only when a repair has taken it back. May be repeated.

    Raises:
        StoreError: a listing or plan is damaged, or the store cannot be reached.
    """
    later = [generation for generation in generations if shards and generation.number > shards[0].generation]
    retried = retried_paths(store, later)
    for shard in shards:
        paths = retried.get(shard, set())
        plan = read_plan(store, shard) if paths else None
        if plan is not None and any(_would_run(image, paths) for image in plan.images):
            images = [replace(i, error="tried again later") if _would_run(i, paths) else i for i in plan.images]
            replace_plan(store, replace(plan, images=tuple(images)))


def _would_run(image: ImagePlan, retried: set[str]) -> bool:
    return image.error is None and image.entry.path in retried
