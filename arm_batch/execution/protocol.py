"""What the pipeline asks of an executor; `inline` is the reference, `ray.executor` the real one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from arm_batch.budget.protocol import GenerationBudget, Quota
from arm_batch.core.allocation.deadline import ClusterProfile
from arm_batch.core.attempts import Node
from arm_batch.core.progress import Progress
from arm_batch.core.stop import Stop
from arm_batch.execution.messages import Partly, ShardSummary
from arm_batch.execution.profiling import Sampled
from arm_batch.runstate.commit import Commit
from arm_batch.runstate.shard_plan import Shard, ShardId
from arm_batch.storage.base import ObjectStore


class Executor(Protocol):
    """Runs the stages of shards somewhere. Both stages end early, in order, when `stop` says so."""

    def host(self, budget: GenerationBudget, name: str) -> GenerationBudget:
        """Give the budget a place to live in, under `name`."""
        ...

    def quota(self, store: ObjectStore) -> Quota:
        """The quota that lies at the root of `store`."""
        ...

    def summarize(self, shards: Sequence[ShardId]) -> Iterator[ShardSummary]:
        """Read the kept plans of shards, in any order."""
        ...

    def plan(self, shards: Iterable[Shard], stop: Stop) -> Iterator[ShardSummary]:
        """Plan every shard and keep the plans, in any order."""
        ...

    def held(self) -> dict[str, int]:
        """How many devices of each kind the run holds, see `core.allocation.deadline.wall_budget`."""
        ...

    def workers(self) -> dict[str, int]:
        """How many workers are in service, by kind of device."""
        ...

    def nodes(self) -> tuple[Node, ...]:
        """The machines that the run has, as they are now."""
        ...

    def watch(self, progress: Progress, /) -> None:
        """Take note of how far the run is, for whoever watches the place where it runs."""
        ...

    def at_once(self) -> int:
        """How many shards are worked on at once: what waves are sized for."""
        ...

    def profile(self, shards: Sequence[Sampled]) -> ClusterProfile:
        """Measure the devices, and on a sample of shards the work beside them."""
        ...

    def run(self, shards: Sequence[ShardId], budget: GenerationBudget, stop: Stop) -> Iterator[Commit | Partly]:
        """Run shards that were planned, in any order, reserving and settling each with `budget`.

        What of a shard is through may be told before it is committed.
        """
        ...
