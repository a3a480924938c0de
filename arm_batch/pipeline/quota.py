"""Runs whose FLOPs come from a pool that other jobs draw from too."""

from __future__ import annotations

from collections.abc import Iterable

from arm_batch.budget.quota import SharedQuota
from arm_batch.budget.quota_claim import QuotaClaim, claim_id
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.execution.protocol import Executor
from arm_batch.pipeline.generations import budget_of
from arm_batch.pipeline.job import Job
from arm_batch.runstate.allocation import read_waves
from arm_batch.runstate.generation import Generation
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.open import open_store


def claim_of(executor: Executor, job: Job, generation: Generation) -> QuotaClaim | None:
    """The claim of a generation on its pool; ``None`` where its budget stands alone."""
    store = _store_of(job, generation)
    return None if store is None else QuotaClaim(executor.quota(store), generation)


def give_back(job: Job, generations: Iterable[Generation]) -> None:
    """Let others have what complete generations have left of their pools; no effect the second time."""
    for generation in generations:
        store = _store_of(job, generation)
        if store is not None:
            _leave(job, generation, SharedQuota(store))


def _leave(job: Job, generation: Generation, pool: SharedQuota) -> None:
    waves = read_waves(job.output, generation)
    spent = [0] * len(waves)
    for shard, commit in job.commits.refresh().items():
        if shard.generation == generation.number:
            spent[waves.of(shard.index)] += commit.flops
    for wave, flops in enumerate(spent):
        pool.settle(claim_id(generation), wave, flops)
    pool.leave(claim_id(generation))


def _store_of(job: Job, generation: Generation) -> ObjectStore | None:
    url = parse_budget(budget_of(generation)).pool
    return None if url is None else open_store(url, job.spec.plan.endpoint_url)
