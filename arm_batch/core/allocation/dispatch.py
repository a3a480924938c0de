"""The queue between two kinds of device: each takes batches from its own end.

Batches wait in the order of the GPU's advantage, the ratio of the seconds that a CPU and a GPU need for one.
GPUs take from the end where they win most, CPUs from the other, and whoever is idle keeps going. With fluid
work this is optimal: some threshold of the ratio divides the work, and where the two meet is that threshold
(comparative advantage; Dantzig 1957 for the knapsack in the same form).
"""

from __future__ import annotations

import numpy as np

from arm_batch.core.arrays import Floats


def dispatch_order(cpu_seconds: Floats, gpu_seconds: Floats) -> list[int]:
    """Subnets from the one that CPUs should take first to the one that GPUs should, by rising advantage.

    >>> dispatch_order(np.array([1.0, 8.0, 6.0]), np.array([1.0, 1.0, 2.0]))
    [0, 2, 1]
    """
    return [int(subnet) for subnet in np.argsort(cpu_seconds / gpu_seconds, kind="stable")]
