"""The budget actor, seen from the driver."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

import ray

from arm_batch.core.census import ShardCensus
from arm_batch.core.share_out import Share
from arm_batch.core.timed import Deadline
from arm_batch.errors import ArmBatchError
from arm_batch.runtime.budget import ArchiveBudget
from arm_batch.runtime.ray_faults import WorkerLostError, get
from arm_batch.runtime.ray_tasks import BudgetActor
from arm_batch.store.allocation import Verdict

NAMESPACE = "arm_batch"

REVIVALS = 8
FIRST_WAIT_S = 0.1
"""Doubled each time: some 25 s in all, for a node that has to come back."""


class RayBudget:
    """Calls the budget actor; where it is lost for good, puts another in its place, which reads the store.

    Ray restarts the actor while its owner lives. The owner is the driver that came first: when that one is done
    or killed, another driver of the same run finds the actor gone.

    Args:
        budget: as it is before anything was asked of it.
        name: of the actor; a second driver of the same run finds the same one.
    """

    def __init__(self, budget: ArchiveBudget, name: str) -> None:
        self._budget = budget
        self._name = name
        self._actor = self._find()

    def recorded(self) -> Verdict | None:
        """See `ArchiveBudget.recorded`."""
        return cast(Verdict | None, self._call("recorded"))

    def allocate(self, parts: Sequence[ShardCensus], deadline: Deadline | None = None) -> Verdict:
        """See `ArchiveBudget.allocate`."""
        return cast(Verdict, self._call("allocate", parts, deadline))

    def begin(self, shard: int) -> Share:
        """See `ArchiveBudget.begin`."""
        return cast(Share, self._call("begin", shard))

    def settle(self, shard: int, flops: int) -> None:
        """See `ArchiveBudget.settle`."""
        self._call("settle", shard, flops)

    def release(self, shard: int) -> None:
        """See `ArchiveBudget.release`."""
        self._call("release", shard)

    def spent(self) -> int:
        """See `ArchiveBudget.spent`."""
        return cast(int, self._call("spent"))

    def close(self) -> None:
        """End the actor."""
        ray.kill(self._actor)

    def _call(self, method: str, *arguments: object) -> Any:
        for attempt in range(REVIVALS):
            try:
                return get(getattr(self._actor, method).remote(*arguments))
            except WorkerLostError as error:
                if not error.actor_died:
                    raise
            time.sleep(FIRST_WAIT_S * 2**attempt)
            self._actor = self._find()
        raise ArmBatchError(f"the budget actor {self._name} cannot be brought back")

    def _find(self) -> Any:
        return BudgetActor.options(  # type: ignore[attr-defined]
            name=self._name, namespace=NAMESPACE, get_if_exists=True
        ).remote(self._budget)
