"""Where budgets and execution meet: what is asked of a budget and of a quota, wherever they live.

Arguments go by position only, so that a proxy passes them on as they are. Each call may be repeated without
further effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.allocation.budget import Budget
from arm_batch.core.allocation.deadline import Deadline
from arm_batch.core.allocation.histogram import ShardHistogram
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.quota.grants import Demand
from arm_batch.runstate.allocation_record import AllocationRecord


@dataclass(frozen=True)
class Standing:
    """How a budget stands, for whoever watches.

    Attributes:
        tiles: that it is for.
        total: FLOPs that may be spent, as of now.
        gain_db: predicted of what is done, over interpolation, in the figure of the objective; None before any is.
    """

    tiles: int
    total: int
    gain_db: float | None


class GenerationBudget(Protocol):
    """The budget of a generation; see `ArchiveBudget`."""

    def recorded(self, /) -> AllocationRecord | None:
        """The first allocation that was written down, ``None`` before there is one."""
        ...

    def allocate(
        self, parts: Sequence[ShardHistogram], at_once: int, deadline: Deadline | None, /
    ) -> AllocationRecord:
        """Allocate over the whole generation and write it down, unless that was done."""
        ...

    def done(self, /) -> set[int]:
        """Numbers of the shards that are committed, as the store has it now."""
        ...

    def begin(self, shard: int, /) -> ShardAllocation | None:
        """Reserve what a shard is allocated and return it; None while it has to wait."""
        ...

    def fits(self, shard: int, histogram: ShardHistogram, /) -> bool:
        """Whether a shard that was planned again came out as it was when it was allocated."""
        ...

    def settle(self, shard: int, flops: int, /) -> None:
        """Note what a shard really spent; the rest of its reservation is free again."""
        ...

    def release(self, shard: int, /) -> None:
        """Take back the reservation of a shard that was given up."""
        ...

    def add(self, budget: Budget, reason: str, /) -> AllocationRecord:
        """Raise the total, once for each reason, and allocate anew to all shards that are not committed."""
        ...

    def standing(self, /) -> Standing:
        """How it stands, as far as it is known here; takes longer the more shards there are."""
        ...


class Quota(Protocol):
    """FLOPs that several jobs draw from, as one of them sees it; see `SharedQuota`."""

    def register(self, job: str, objective: Objective, demand: Demand, /) -> int:
        """Come to the quota with all that is to be done; returns the job's grant in FLOPs."""
        ...

    def sizes(self, job: str, /) -> tuple[int, ...]:
        """Shards of each portion of a job, as it first came; empty where it has not told."""
        ...

    def grant(self, job: str, /) -> int:
        """FLOPs that a job may spend in all, as of now. One that has left comes back by asking."""
        ...

    def begin(self, job: str, portion: int, flops: int, revision: int, grant: int, /) -> bool:
        """Reserve FLOPs for a portion, for good, unless its job's grant is another by now."""
        ...

    def settle(self, job: str, portion: int, flops: int, /) -> int:
        """Note what a portion has spent; returns what counts."""
        ...

    def leave(self, job: str, /) -> None:
        """Go, and let the others have what is left."""
        ...
