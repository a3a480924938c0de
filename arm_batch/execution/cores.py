"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Cores that this process may run on, and that the quota of its container pays for; at least one.

    Args:
        cgroup: where the kernel tells of the container.
    """
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    paid = _paid(cgroup)
    return there if paid is None else max(1, min(there, paid))


def _paid(cgroup: Path) -> int | None:
    """By the quota, rounded up; None without one."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = " ".join((cgroup / file).read_text() for file in files).split()
            quota, period = int(words[0]), int(words[1])
        except (OSError, ValueError, IndexError):
            continue
        return math.ceil(quota / period) if quota > 0 and period > 0 else None
    return None
