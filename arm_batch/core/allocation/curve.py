"""The budget-quality curve of an archive: what each spend is predicted to reach, and where more stops paying."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arm_batch.core.allocation.budget import Budget
from arm_batch.core.allocation.histogram import Histogram
from arm_batch.core.allocation.knapsack import Allocation, cheapest, spend_of
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.allocation.objective import Quality, predict, solve
from arm_batch.core.arrays import Counts
from arm_batch.core.prediction.lut import Lut
from arm_batch.errors import BudgetError

POINTS = 40
"""Of a curve: at every 2.5 % of the largest subnet everywhere."""

_SHARE_STEP = 1e-4
"""A target's spend is found to this share of running the largest subnet everywhere."""


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Everything that allocations of one archive have in common.

    Attributes:
        objective: what to make best.
        lut: predictions.
        histogram: of the archive.
        costs: FLOPs of one tile per subnet, ascending.
        tile_px: LR pixels of a whole tile.
    """

    objective: Objective
    lut: Lut
    histogram: Histogram
    costs: Counts
    tile_px: int

    @property
    def floor(self) -> int:
        """FLOPs of interpolation everywhere."""
        return spend_of(cheapest(self.histogram.tiles, len(self.costs)), self.costs)

    @property
    def full(self) -> int:
        """FLOPs of the largest subnet everywhere."""
        return int(self.histogram.tiles.sum()) * int(self.costs[-1])

    def solve(self, budget: int) -> Allocation:
        """The best allocation within a budget of FLOPs; `BudgetError` where interpolation costs more."""
        return solve(self.objective, self.lut, self.histogram, self.costs, budget)

    def predict(self, allocation: Allocation) -> Quality:
        """The quality predicted of an allocation; of at least one image."""
        return predict(self.lut, self.histogram, allocation.tiles, self.tile_px)

    def reach(self, budget: int) -> float:
        """The objective's figure in dB that a budget of FLOPs is predicted to reach."""
        return self.predict(self.solve(budget)).of(self.objective)


@dataclass(frozen=True, eq=False)
class CurvePoint:
    """One allocation and the quality predicted for it."""

    allocation: Allocation
    quality: Quality

    @property
    def spend(self) -> int:
        """FLOPs."""
        return self.allocation.spend


def budget_curve(planner: Planner, points: int = POINTS) -> list[CurvePoint]:
    """Interpolation everywhere, then budgets in equal steps up to all that helps, each with its prediction.

    Spend and the objective's figure never fall along the curve.
    """
    curve: list[CurvePoint] = []
    for step in range(points + 1):
        point = point_at(planner, max(planner.full * step // points, planner.floor))
        if curve and point.spend <= curve[-1].spend:
            continue
        if curve and point.quality.of(planner.objective) < curve[-1].quality.of(planner.objective):
            continue
        curve.append(point)
    return curve


def point_at(planner: Planner, budget: int) -> CurvePoint:
    """The best allocation within a budget of FLOPs, with its prediction."""
    allocation = planner.solve(budget)
    return CurvePoint(allocation, planner.predict(allocation))


def knee(curve: list[CurvePoint], objective: Objective) -> CurvePoint:
    """The point farthest above the straight line from the first to the last.

    Up to there each FLOP buys more than the average one, beyond it less (Satopaa et al., "Finding a Kneedle in a
    Haystack", ICDCS Workshops 2011).
    """
    spend = np.array([float(point.spend) for point in curve])
    quality = np.array([point.quality.of(objective) for point in curve])
    if spend[-1] == spend[0] or quality[-1] == quality[0]:
        return curve[0]
    across = (spend - spend[0]) / (spend[-1] - spend[0])
    up = (quality - quality[0]) / (quality[-1] - quality[0])
    return curve[int(np.argmax(up - across))]


def spend_for(planner: Planner, target_db: float) -> int:
    """The least budget in FLOPs whose plan is predicted to reach `target_db` in the objective's figure.

    With ``image-psnr``, whose plans are local optima, now and then a smaller one would reach it too.

    Raises:
        BudgetError: the largest subnet everywhere is predicted to stay below.
    """
    low, high = planner.floor, planner.full
    reached = planner.reach(high)
    if not reached >= target_db:
        raise BudgetError(f"no budget reaches {target_db:g} dB: all of it is predicted to give {reached:.2f} dB")
    if planner.reach(low) >= target_db:
        return low
    while high - low > max(1, int(_SHARE_STEP * planner.full)):
        middle = (low + high) // 2
        if planner.reach(middle) >= target_db:
            high = middle
        else:
            low = middle
    return high


def budget_flops(planner: Planner, budget: Budget, best_effort: bool = False) -> int:
    """The bound on FLOPs that a budget comes to for an archive.

    Args:
        planner: of the archive; without any image, a target takes nothing.
        budget: as asked for.
        best_effort: whether a target that is out of reach means all that helps.

    Raises:
        BudgetError: the target is out of reach, or the budget bounds a time.
    """
    if budget.target_db is None:
        return budget.flops(planner.full)
    if not planner.full:
        return 0
    target = min(budget.target_db, planner.reach(planner.full)) if best_effort else budget.target_db
    return spend_for(planner, target)
