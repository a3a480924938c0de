"""How a run with a budget of time gets on, and what time that leaves for what has not begun."""

from __future__ import annotations

from dataclasses import dataclass, replace

from arm_batch.core.allocation.deadline import ClusterProfile, Deadline, alone_seconds
from arm_batch.core.arrays import Floats

ON_TIME = 0.02
"""Of the budget: a run that is expected to miss it by less is left as it is."""

_TRUST = 0.1
"""Of the run: so much that is done counts as much as the forecast, which is all there is at first."""


@dataclass(frozen=True)
class Work:
    """Some of a run's work.

    Attributes:
        tiles: by subnet, ``(n_subnets,)``; fractions where it is half done.
        pixels: of the input.
    """

    tiles: Floats
    pixels: float

    def __add__(self, other: Work) -> Work:
        return Work(self.tiles + other.tiles, self.pixels + other.pixels)

    def __mul__(self, factor: float) -> Work:
        return Work(self.tiles * factor, self.pixels * factor)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        passed_seconds: wall time since it began.
        busy_seconds: of these since its first shard began.
        done: by now.
        under_way: what is still to be done with what it was allocated.
        rest: what can be allocated anew, with what it is allocated now.
    """

    passed_seconds: float
    busy_seconds: float
    done: Work
    under_way: Work
    rest: Work


def all_seconds(cluster_profile: ClusterProfile, work: Work) -> float:
    """Wall seconds that all devices together need, by their speeds side by side; of one kind of devices exact."""
    alone = alone_seconds(cluster_profile, work.tiles, work.pixels).values()
    return 1 / sum(1 / seconds for seconds in alone) if all(alone) else 0.0


def correct(
    cluster_profile: ClusterProfile, wall_seconds: float, unit: float, progress: Progress
) -> Deadline | None:
    """What the rest has to be allocated for, from how long the work has taken so far.

    Args:
        cluster_profile: as it was measured.
        wall_seconds: of the budget.
        unit: seconds that the forecast expects where `all_seconds` says 1.
        progress: of the run.

    Returns:
        The cluster profile, as slow as it has been, and the time that will have passed when all that is under way
        is done; ``None`` where the run is on time.
    """
    done, under_way, rest = (
        unit * all_seconds(cluster_profile, work) for work in (progress.done, progress.under_way, progress.rest)
    )
    trusted = _TRUST * (done + under_way + rest)
    slower = (progress.busy_seconds + trusted) / (done + trusted) if trusted else 1.0
    begins = progress.passed_seconds + slower * under_way
    ends = begins + slower * rest
    if abs(ends - wall_seconds) <= ON_TIME * wall_seconds:
        return None
    pools = tuple(replace(pool, seconds=pool.seconds * slower) for pool in cluster_profile.pools)
    return Deadline(ClusterProfile(pools, cluster_profile.cores, cluster_profile.host_seconds * slower), begins)
