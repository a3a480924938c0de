"""Which subnets a budget can make use of."""

from __future__ import annotations

from arm_batch.core.arrays import Counts, Floats


def undominated(costs: Counts, errors: Floats) -> list[int]:
    """The subnets on the lower convex hull of (cost, error), down to the smallest error.

    Any other is beaten by a mix of two of these at its own cost.

    Args:
        costs: strictly ascending, ``(n_subnets,)``.
        errors: mean squared error of each over the same tiles, ``(n_subnets,)``.

    Returns:
        Their indices, ascending; the cheapest is always among them.

    >>> import numpy as np
    >>> undominated(np.array([1, 2, 3, 9]), np.array([9.0, 8.0, 4.0, 4.0]))
    [0, 2]
    """

    def fall(source: int, target: int) -> float:
        return float((errors[target] - errors[source]) / (costs[target] - costs[source]))

    hull = [0]
    for candidate in range(1, len(costs)):
        if errors[candidate] >= errors[hull[-1]]:
            continue
        while len(hull) > 1 and fall(hull[-1], candidate) <= fall(hull[-2], hull[-1]):
            hull.pop()
        hull.append(candidate)
    return hull
