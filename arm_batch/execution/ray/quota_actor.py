"""The actor of a pool, and the pool seen from the jobs of one cluster.

Jobs of other clusters, or of none, may use the same pool: the actor is there so that those of one cluster wait for
each other instead of deciding again and again.
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

import ray

from arm_batch.budget.quota import SharedPool
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.quota.grants import Demand
from arm_batch.execution.ray.named_actor import NamedActor
from arm_batch.storage.base import ObjectStore


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class PoolActor:
    """The pool, in one place of the cluster. After a restart it reads its journal."""

    def __init__(self, store: ObjectStore) -> None:
        self._pool = SharedPool(store)

    def register(self, job: str, objective: Objective, demand: Demand) -> int:
        """See `SharedPool.register`."""
        return self._pool.register(job, objective, demand)

    def sizes(self, job: str) -> tuple[int, ...]:
        """See `SharedPool.sizes`."""
        return self._pool.sizes(job)

    def grant(self, job: str) -> int:
        """See `SharedPool.grant`."""
        return self._pool.grant(job)

    def begin(self, job: str, portion: int, flops: int, epoch: int, grant: int) -> bool:
        """See `SharedPool.begin`."""
        return self._pool.begin(job, portion, flops, epoch, grant)

    def settle(self, job: str, portion: int, flops: int) -> int:
        """See `SharedPool.settle`."""
        return self._pool.settle(job, portion, flops)

    def leave(self, job: str) -> None:
        """See `SharedPool.leave`."""
        self._pool.leave(job)


class RayPool(NamedActor):
    """The pool, in its actor.

    Args:
        store: whose root is the pool's.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        super().__init__(f"pool-{hashlib.sha256(store.url.encode()).hexdigest()[:16]}")

    def register(self, job: str, objective: Objective, demand: Demand) -> int:
        """See `SharedPool.register`."""
        return cast(int, self._call("register", job, objective, demand))

    def sizes(self, job: str) -> tuple[int, ...]:
        """See `SharedPool.sizes`."""
        return cast(tuple[int, ...], self._call("sizes", job))

    def grant(self, job: str) -> int:
        """See `SharedPool.grant`."""
        return cast(int, self._call("grant", job))

    def begin(self, job: str, portion: int, flops: int, epoch: int, grant: int) -> bool:
        """See `SharedPool.begin`."""
        return cast(bool, self._call("begin", job, portion, flops, epoch, grant))

    def settle(self, job: str, portion: int, flops: int) -> int:
        """See `SharedPool.settle`."""
        return cast(int, self._call("settle", job, portion, flops))

    def leave(self, job: str) -> None:
        """See `SharedPool.leave`."""
        self._call("leave", job)

    def _start(self, **options: Any) -> Any:
        return PoolActor.options(**options).remote(self._store)  # type: ignore[attr-defined]
