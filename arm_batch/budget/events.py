"""What can happen to the budget of a generation.

Two kinds lie in the output, for all drivers alike: revisions, each a document of its own, and what committed
shards have spent, which their commit records say. The others are of one process, and end with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from arm_batch.budget.replanner import Replanner
from arm_batch.core.allocation.histogram import ShardHistogram
from arm_batch.runstate.allocation_record import AllocationRecord


@dataclass(frozen=True)
class Revised:
    """A revision counts from now on for the shards that it names.

    Attributes:
        number: of the revision, from 0.
        record: the allocation record.
        parts: the histogram of each shard, with revision 0; the later ones go by that.
    """

    number: int
    record: AllocationRecord
    parts: Sequence[ShardHistogram] = ()


@dataclass(frozen=True)
class Settled:
    """Shards are done and have spent so many FLOPs, by shard."""

    flops: Mapping[int, int]


@dataclass(frozen=True)
class Opened:
    """A wave begins: its shards may, with what they are allocated now."""

    wave: int


@dataclass(frozen=True)
class Begun:
    """A shard begins here and reserves what it is allocated.

    Attributes:
        shard: which.
        now_s: wall seconds since some moment.
    """

    shard: int
    now_s: float


@dataclass(frozen=True)
class Released:
    """A shard is given up here."""

    shard: int


@dataclass(frozen=True)
class Timed:
    """The generation has a budget of time, and this process keeps it."""

    replanner: Replanner


Event = Revised | Settled | Opened | Begun | Released | Timed
