"""Keeps a run within its time: as waves open, the rest is allocated for the time that is left."""

from __future__ import annotations

from dataclasses import dataclass, replace

from arm_batch.core.allocation.budget import Budget
from arm_batch.core.allocation.curve import Planner
from arm_batch.core.allocation.deadline import ClusterProfile, Deadline, TimeForecast, solve_timed, wall_budget
from arm_batch.core.allocation.replan import Progress, Work, all_seconds, correct
from arm_batch.core.allocation.solve import Allocated
from arm_batch.errors import BudgetError


@dataclass(frozen=True)
class Replanner:
    """What is known of the time of a run. It belongs to the process whose clock it goes by.

    Attributes:
        budget: of time.
        cluster_profile: as it was measured for the first allocation.
        wall_seconds: of the budget.
        unit: seconds that the forecast expects where `all_seconds` says 1.
        cap_flops: bound on the FLOPs of the run; infinite for none.
        started_s: when the run began.
        first_shard_s: when its first shard did; ``None`` before.
    """

    budget: Budget
    cluster_profile: ClusterProfile
    wall_seconds: float
    unit: float
    cap_flops: float
    started_s: float
    first_shard_s: float | None = None

    @staticmethod
    def of(
        budget: Budget, deadline: Deadline, forecast: TimeForecast, work: Work, cap_flops: float, asked_s: float
    ) -> Replanner:
        """From what the first allocation came to.

        Args:
            budget: of time.
            deadline: that it was made for.
            forecast: of it.
            work: of the whole run.
            cap_flops: bound on the FLOPs of the run; infinite for none.
            asked_s: when it was asked for, on the clock that counts from then on.
        """
        whole = all_seconds(deadline.cluster_profile, work)
        unit = (forecast.expected_seconds - forecast.passed_seconds) / whole if whole else 1.0
        wall = wall_budget(budget, deadline.cluster_profile.held)
        return Replanner(
            budget, deadline.cluster_profile, wall, unit, cap_flops, asked_s - deadline.passed_seconds
        )

    def begin(self, now_s: float) -> Replanner:
        """A shard begins."""
        return self if self.first_shard_s is not None else replace(self, first_shard_s=now_s)

    def progress(self, now_s: float, done: Work, in_flight: Work, waiting: Work, rest: Work) -> Progress:
        """How far the run is.

        Args:
            now_s: on its clock.
            done: work of the shards that are settled.
            in_flight: of those that have begun here.
            waiting: of the others that keep what they are allocated.
            rest: of those that can be allocated anew.
        """
        # Some have just begun and some are nearly done.
        half = in_flight * 0.5
        busy = 0.0 if self.first_shard_s is None else now_s - self.first_shard_s
        return Progress(
            passed_seconds=now_s - self.started_s,
            busy_seconds=busy,
            done=done + half,
            under_way=half + waiting,
            rest=rest,
        )

    def solve(self, planner: Planner, progress: Progress, spent: int) -> Allocated | None:
        """What shards that have not begun get of the time that is left; ``None`` where the run is on time.

        Args:
            planner: of these shards.
            progress: of the run.
            spent: FLOPs of all others.
        """
        deadline = correct(self.cluster_profile, self.wall_seconds, self.unit, progress)
        if deadline is None:
            return None
        objective, lut, histogram, costs = planner.objective, planner.lut, planner.histogram, planner.costs
        try:
            timed = solve_timed(objective, lut, histogram, costs, self.budget, deadline, self.cap_flops - spent)
        except BudgetError:
            # It is too late for anything but to end.
            least = planner.solve(planner.floor)
            return Allocated(least, spent + least.spend)
        return Allocated(timed.allocation, spent + timed.allocation.spend, timed.forecast)
