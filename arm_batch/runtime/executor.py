"""What the pipeline asks of an executor; `inline` is the reference, `ray_executor` the real one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from arm_batch.core.allocate import Counts
from arm_batch.runtime.budget import ArchiveBudget, Verdict
from arm_batch.runtime.work import Shard, ShardSummary
from arm_batch.store.sinks import Commit


class BudgetPort(Protocol):
    """The methods of `ArchiveBudget`, wherever it lives."""

    def register(self, shard: int, histogram: Counts) -> None: ...

    def allocate(self) -> Verdict: ...

    def begin(self, shard: int) -> Counts: ...

    def settle(self, shard: int, flops: int) -> None: ...

    def spent(self) -> int: ...


class Executor(Protocol):
    """Runs the stages of shards somewhere."""

    def host(self, budget: ArchiveBudget, name: str) -> BudgetPort:
        """Give the budget a place to live in, under `name`."""
        ...

    def plan(self, shards: Sequence[Shard]) -> Iterator[ShardSummary]:
        """Plan every shard, in any order."""
        ...

    def run(self, shards: Sequence[int], budget: BudgetPort) -> Iterator[Commit]:
        """Run shards that were planned, in any order, reserving and settling each with `budget`."""
        ...
