"""One way from a budget of any kind to an allocation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arm_batch.core.allocation.budget import Budget
from arm_batch.core.allocation.curve import Planner, budget_flops
from arm_batch.core.allocation.deadline import Deadline, TimeForecast, solve_timed
from arm_batch.core.allocation.knapsack import Allocation


@dataclass(frozen=True)
class Allocated:
    """What a budget came to.

    Attributes:
        allocation: over the archive.
        total: FLOPs that may be spent: for a budget of time those that the allocation spends.
        forecast: of a budget of time; ``None`` for others.
    """

    allocation: Allocation
    total: int
    forecast: TimeForecast | None = None


def allocate_for(
    budget: Budget, planner: Planner, deadline: Deadline | None, cap_flops: int | None, best_effort: bool
) -> Allocated:
    """The allocation that makes an objective best within a budget.

    Args:
        budget: of any kind but a pool.
        planner: of the archive.
        deadline: needed by a budget of time, ignored by others.
        cap_flops: bound on FLOPs beside the budget; ``None`` for none.
        best_effort: whether a target that is out of reach gets all that helps.

    Raises:
        BudgetError: no plan meets it.
    """
    if budget.seconds is not None and deadline is not None:
        cap = np.inf if cap_flops is None else cap_flops
        timed = solve_timed(
            planner.objective, planner.lut, planner.histogram, planner.costs, budget, deadline, cap
        )
        return Allocated(timed.allocation, timed.allocation.spend, timed.forecast)
    total = budget_flops(planner, budget, best_effort)
    if cap_flops is not None:
        total = min(total, cap_flops)
    return Allocated(planner.solve(total), total)
