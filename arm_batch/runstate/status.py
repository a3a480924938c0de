"""How far a run has come, from what its output holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arm_batch.runstate.allocation import read_revisions
from arm_batch.runstate.commit import committed, replaced_shards
from arm_batch.runstate.generation import Generation
from arm_batch.runstate.plan_files import planned
from arm_batch.storage.base import ObjectStore


@dataclass(frozen=True)
class GenerationProgress:
    """How far one generation has come.

    Attributes:
        generation: which.
        planned: shards whose plans are kept.
        done: images upscaled.
        failed: images that could not be and that no later generation has tried again.
        retried: images that a later generation has tried again.
        left: shards that are not committed.
        spent_flops: by what is committed.
        budget_flops: of the generation; None before it is allocated.
    """

    generation: Generation
    planned: int
    done: int
    failed: int
    retried: int
    left: int
    spent_flops: int
    budget_flops: int | None


def read_progress(store: ObjectStore, generations: Sequence[Generation]) -> list[GenerationProgress]:
    """How far each generation of a run has come.

    Raises:
        StoreError: the store cannot be read.
    """
    commits = committed(store).values()
    replaced = replaced_shards(commits)
    found = []
    for generation in generations:
        own = [commit for commit in commits if commit.shard.generation == generation.number]
        retried = sum(commit.failures for commit in own if commit.shard in replaced)
        revisions = read_revisions(store, generation)
        found.append(
            GenerationProgress(
                generation=generation,
                planned=len(planned(store, generation.number)),
                done=sum(commit.rows - commit.failures for commit in own),
                failed=sum(commit.failures for commit in own) - retried,
                retried=retried,
                left=generation.shards - len(own),
                spent_flops=sum(commit.flops for commit in own),
                budget_flops=revisions[-1].total if revisions else None,
            )
        )
    return found
