"""Where a run takes place if nobody says: a cluster where one is named or a GPU is here, else this process.

On the cores of one machine a cluster does the same work, moves pixels between more processes, and has to start. So
it is not for the amount of work to decide.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from arm_batch.execution.cores import usable_cores
from arm_batch.execution.helpers import Helpers
from arm_batch.execution.ray.address import named_address
from arm_batch.spec import ExecutorName, PlanSpec

EARLY_HELPERS = 7
"""Started before it is known how much there is to do: they load libraries while this process does."""


@dataclass(frozen=True)
class Choice:
    """Where a run takes place.

    Attributes:
        executor: ``ray`` or ``inline``.
        reason: why, for a person.
    """

    executor: ExecutorName
    reason: str

    def told(self, workers: int | None) -> str:
        """In a few words for a person.

        Args:
            workers: that were asked for.
        """
        here = workers_here(workers)
        place = "on Ray" if self.executor == "ray" else f"in {here} process{'es' if here > 1 else ''} of its own"
        return f"{place}: {self.reason}"


def choose_executor(wish: ExecutorName, devices: Path = Path("/dev")) -> Choice:
    """What was asked for; with ``auto`` what the environment calls for.

    Args:
        wish: as of `PlanSpec`.
        devices: folder in which NVIDIA's driver has its devices.
    """
    if wish != "auto":
        return Choice(wish, "as was asked for")
    if _is_connected():
        return Choice("ray", "this process is connected to a cluster")
    if os.environ.get("RAY_JOB_ID") or os.environ.get("RAY_ADDRESS") == "local":
        return Choice("ray", "the environment asks for Ray")
    address, source = named_address()
    if address is not None:
        return Choice("ray", f"{source} names a cluster")
    if _has_gpu(devices):
        return Choice("ray", "a GPU is here")
    return Choice("inline", "no cluster is named, and no GPU is here")


def is_cluster_named() -> bool:
    """Whether a run on Ray would join a cluster, rather than start one of this machine."""
    return _is_connected() or named_address()[0] is not None


def _is_connected() -> bool:
    return (ray := sys.modules.get("ray")) is not None and ray.is_initialized()


def workers_here(asked: int | None) -> int:
    """Processes that a run in this process has: as many as were asked for, else one for each core."""
    return usable_cores() if asked is None else asked


def call_helpers(plan: PlanSpec, helpers: Helpers) -> None:
    """Start the first helpers of a run that is going to take place in this process."""
    if choose_executor(plan.executor).executor == "inline":
        helpers.grow(min(workers_here(plan.workers) - 1, EARLY_HELPERS))


def _has_gpu(devices: Path) -> bool:
    """Whether there is one that this process is allowed to see."""
    return os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1") and any(devices.glob("nvidia[0-9]*"))
