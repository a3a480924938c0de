"""One way from a budget of any kind to an allocation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arm_batch.core.allocate import Allocation
from arm_batch.core.budget import Budget
from arm_batch.core.census import Census, Objective
from arm_batch.core.ladder import Ladder
from arm_batch.core.objective import solve
from arm_batch.core.timed import Deadline, Forecast, solve_timed


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
    forecast: Forecast | None


def allocate_for(
    budget: Budget,
    objective: Objective,
    ladder: Ladder,
    census: Census,
    deadline: Deadline | None,
    cap_flops: int | None,
) -> Allocated:
    """The allocation that makes an objective best within a budget.

    Args:
        budget: of any kind.
        objective: what to make best.
        ladder: costs and predictions.
        census: of the archive.
        deadline: needed by a budget of time, ignored by others.
        cap_flops: bound on FLOPs beside the budget; ``None`` for none.

    Raises:
        BudgetError: no plan meets it.
    """
    lut, costs = ladder.lut, ladder.costs
    if budget.seconds is not None and deadline is not None:
        cap = np.inf if cap_flops is None else cap_flops
        timed = solve_timed(objective, lut, census, costs, budget, deadline, cap)
        return Allocated(timed.allocation, timed.allocation.spend, timed.forecast)
    total = budget.flops(int(census.tiles.sum()) * int(costs[-1]))
    if cap_flops is not None:
        total = min(total, cap_flops)
    return Allocated(solve(objective, lut, census, costs, total), total, None)
