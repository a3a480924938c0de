"""Keeps a run within its time: as waves open, the rest is allocated for the time that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set

import numpy as np

from arm_batch.budget.revisions import Epochs
from arm_batch.core.allocation.budget import Budget
from arm_batch.core.allocation.curve import Planner
from arm_batch.core.allocation.deadline import Fleet, Forecast, solve_timed, wall_budget
from arm_batch.core.allocation.replan import Progress, Work, all_seconds, correct
from arm_batch.core.allocation.solve import Allocated
from arm_batch.errors import BudgetError


class Timekeeper:
    """Knows when a run began and how fast it gets on. What it finds is written down as epochs, and it is not.

    Args:
        budget: of time.
        fleet: as it was measured for the first allocation.
        forecast: of that.
        epochs: of the run.
        cap_flops: bound on its FLOPs; ``None`` for none.
        started: when the run began, by `now`.
        now: wall seconds since some moment.
    """

    def __init__(
        self,
        budget: Budget,
        fleet: Fleet,
        forecast: Forecast,
        epochs: Epochs,
        cap_flops: int | None,
        started: float,
        now: Callable[[], float],
    ) -> None:
        self._budget = budget
        self._fleet = fleet
        self._epochs = epochs
        self._cap = np.inf if cap_flops is None else cap_flops
        self._now = now
        self._started = started
        self._wall = wall_budget(budget, fleet.held)
        whole = all_seconds(self._fleet, self._work(range(len(epochs.parts))))
        self._unit = (forecast.expected_seconds - forecast.passed_seconds) / whole if whole else 1.0
        self._first_shard: float | None = None
        self._begun: set[int] = set()

    def note(self, shard: int) -> None:
        """A shard begins."""
        if self._first_shard is None:
            self._first_shard = self._now()
        self._begun.add(shard)

    def allocate(self, planner: Planner, later: Sequence[int], settled: Set[int], spent: int) -> Allocated | None:
        """What shards that have not begun get of the time that is left; ``None`` where the run is on time.

        Args:
            planner: of these shards.
            later: the shards.
            settled: shards that are done.
            spent: FLOPs of all others.
        """
        deadline = correct(self._fleet, self._wall, self._unit, self._progress(later, settled))
        if deadline is None:
            return None
        objective, lut, census, costs = planner.objective, planner.lut, planner.census, planner.costs
        try:
            timed = solve_timed(objective, lut, census, costs, self._budget, deadline, self._cap - spent)
        except BudgetError:
            # It is too late for anything but to end.
            least = planner.solve(planner.floor)
            return Allocated(least, spent + least.spend)
        return Allocated(timed.allocation, spent + timed.allocation.spend, timed.forecast)

    def _progress(self, later: Sequence[int], settled: Set[int]) -> Progress:
        now = self._now()
        in_flight = self._begun - settled
        waiting = set(range(later[0])) - settled - in_flight
        # Some have just begun and some are nearly done.
        half = self._work(in_flight) * 0.5
        return Progress(
            passed_seconds=now - self._started,
            busy_seconds=now - (now if self._first_shard is None else self._first_shard),
            done=self._work(settled) + half,
            under_way=half + self._work(waiting),
            rest=self._work(later),
        )

    def _work(self, shards: Iterable[int]) -> Work:
        tiles, pixels = np.zeros(len(self._epochs.first.costs)), 0.0
        for shard in shards:
            tiles += self._epochs.share(shard).per_subnet
            pixels += float(self._epochs.parts[shard].pixels.sum())
        return Work(tiles, pixels)
