"""Undoing what is damaged, so that the run does it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from arm_batch.errors import OutputError, StoreError
from arm_batch.store.commit import commit_key
from arm_batch.store.generation import Generation, read_shards
from arm_batch.store.objects import ObjectStore
from arm_batch.store.plan import ImagePlan, ShardId, ShardPlan, plan_key, read_plan, write_plan
from arm_batch.store.sinks import IMAGES
from arm_batch.store.verify import verify_store


def repair(store: ObjectStore, generations: Sequence[Generation]) -> list[str]:
    """Read the output back and take back the commit of every shard that is damaged.

    Returns:
        What was wrong, a line for each.

    Raises:
        OutputError: something is damaged that nothing else holds, such as a listing or an allocation.
        StoreError: the store cannot be reached.
    """
    problems = verify_store(store, generations).problems
    hopeless = [problem for problem in problems if problem.repair == "none"]
    if hopeless:
        raise OutputError(f"{store.url} cannot be repaired: {'; '.join(map(str, hopeless[:3]))}")
    retried = _retried(store, generations)
    for shard in sorted({problem.shard for problem in problems if problem.shard is not None}):
        _take_back(store, shard, retried.get(shard, set()))
    for problem in problems:
        if problem.repair == "plan again":
            store.delete(problem.key)
    return [str(problem) for problem in problems]


def _retried(store: ObjectStore, generations: Sequence[Generation]) -> dict[ShardId, set[str]]:
    """The paths of each shard that a later generation tries again."""
    return {
        shard.origin: {entry.path for entry in shard.entries}
        for generation in generations
        if generation.kind == "retry"
        for shard in read_shards(store, generation)
        if shard.origin is not None
    }


def _take_back(store: ObjectStore, shard: ShardId, retried: set[str]) -> None:
    """Make a shard one that is still to do.

    Its images go first: what is there would be taken for good. Images that a later generation tries again must
    fail once more, also where what made them fail has passed: their row is the later generation's.
    """
    try:
        plan = read_plan(store, shard)
    except StoreError:
        plan = ShardPlan(shard, ())
    for image in plan.images:
        store.delete(f"{IMAGES}{image.output}")
    if retried:
        store.delete(plan_key(shard))
        write_plan(store, replace(plan, images=tuple(_failing(image, retried) for image in plan.images)))
    store.delete(commit_key(shard))


def _failing(image: ImagePlan, retried: set[str]) -> ImagePlan:
    if image.entry.path not in retried:
        return image
    return replace(image, error=image.error or "tried again later")
