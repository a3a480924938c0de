"""The budget actor, seen from the driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from arm_batch.budget.archive_budget import ArchiveBudget
from arm_batch.core.allocation.apportion import Share
from arm_batch.core.allocation.budget import Budget
from arm_batch.core.allocation.deadline import Deadline
from arm_batch.core.allocation.histogram import ShardCensus
from arm_batch.execution.ray.named_actor import NamedActor
from arm_batch.execution.ray.tasks import BudgetActor
from arm_batch.runstate.verdict import Verdict


class RayBudget(NamedActor):
    """The budget of a run, in its actor.

    Args:
        budget: as it is before anything was asked of it.
        name: of the actor; a second driver of the same run finds the same one.
    """

    def __init__(self, budget: ArchiveBudget, name: str) -> None:
        self._budget = budget
        super().__init__(name)

    def recorded(self) -> Verdict | None:
        """See `ArchiveBudget.recorded`."""
        return cast(Verdict | None, self._call("recorded"))

    def allocate(
        self, parts: Sequence[ShardCensus], at_once: int = 1, deadline: Deadline | None = None
    ) -> Verdict:
        """See `ArchiveBudget.allocate`."""
        return cast(Verdict, self._call("allocate", parts, at_once, deadline))

    def done(self) -> set[int]:
        """See `ArchiveBudget.done`."""
        return cast(set[int], self._call("done"))

    def begin(self, shard: int) -> Share | None:
        """See `ArchiveBudget.begin`."""
        return cast(Share | None, self._call("begin", shard))

    def fits(self, shard: int, census: ShardCensus) -> bool:
        """See `ArchiveBudget.fits`."""
        return cast(bool, self._call("fits", shard, census))

    def settle(self, shard: int, flops: int) -> None:
        """See `ArchiveBudget.settle`."""
        self._call("settle", shard, flops)

    def release(self, shard: int) -> None:
        """See `ArchiveBudget.release`."""
        self._call("release", shard)

    def add(self, budget: Budget, reason: str) -> Verdict:
        """See `ArchiveBudget.add`."""
        return cast(Verdict, self._call("add", budget, reason))

    def _start(self, **options: Any) -> Any:
        return BudgetActor.options(**options).remote(self._budget)  # type: ignore[attr-defined]
