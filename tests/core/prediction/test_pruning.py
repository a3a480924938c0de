"""Subnets that no mix of two others beats."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.prediction.pruning import undominated


def test_worked_examples() -> None:
    costs = np.array([1, 2, 3, 4])
    assert undominated(costs, np.array([8.0, 4.0, 2.0, 1.0])) == [0, 1, 2, 3]
    # Above the line between its neighbours, on it, and costlier without being better.
    assert undominated(costs, np.array([8.0, 7.0, 2.0, 1.0])) == [0, 2, 3]
    assert undominated(costs, np.array([8.0, 6.0, 4.0, 2.0])) == [0, 3]
    assert undominated(costs, np.array([8.0, 3.0, 3.0, 5.0])) == [0, 1]


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), min_size=1, max_size=8))
def test_exactly_those_that_a_mix_cannot_replace_are_kept(steps: list[tuple[int, int]]) -> None:
    costs = np.cumsum([cost for cost, _ in steps])
    errors = np.array([float(error) for _, error in steps])
    kept = undominated(costs, errors)
    assert kept[0] == 0
    for subnet in range(1, len(costs)):
        others = [i for i in range(len(costs)) if i != subnet]
        reachable = min(
            [errors[i] for i in others if costs[i] <= costs[subnet]]
            + [
                errors[i] + (errors[j] - errors[i]) * (costs[subnet] - costs[i]) / (costs[j] - costs[i])
                for i in others
                for j in others
                if costs[i] < costs[subnet] < costs[j]
            ]
        )
        # A mix that is just as good replaces it, too; rounding decides nothing here, the numbers are small.
        assert (subnet in kept) == (errors[subnet] < reachable - 1e-9)
