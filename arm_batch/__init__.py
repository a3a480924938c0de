"""arm_batch: upscale image archives on Ray within an exact compute budget.

    import arm_batch

    arm_batch.upscale("photos/", "upscaled/", budget="40%")
    arm_batch.open_dataset("upscaled/")

What is not named here is private and may change; so may modules, but for `arm_batch.errors`, which holds the
exceptions, and `arm_batch.ray_data`, a step of a Ray Data pipeline.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arm_batch.api.arrays import Upscaler
    from arm_batch.api.jobs import upscale
    from arm_batch.api.outputs import attempts, status, verify
    from arm_batch.api.plans import plan
    from arm_batch.models.ladder_files import load_ladder
    from arm_batch.runstate.dataset import open_dataset

__all__ = ["Upscaler", "attempts", "load_ladder", "open_dataset", "plan", "status", "upscale", "verify"]

_HOMES = {
    "Upscaler": "arm_batch.api.arrays",
    "attempts": "arm_batch.api.outputs",
    "load_ladder": "arm_batch.models.ladder_files",
    "open_dataset": "arm_batch.runstate.dataset",
    "plan": "arm_batch.api.plans",
    "status": "arm_batch.api.outputs",
    "upscale": "arm_batch.api.jobs",
    "verify": "arm_batch.api.outputs",
}
"""Where each name comes from, on first use: torch and Ray take seconds to load, in every worker of a cluster."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
