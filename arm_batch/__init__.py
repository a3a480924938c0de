"""arm_batch: upscale image archives on Ray within an exact compute budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arm_batch.runstate.dataset import open_dataset

__all__ = ["open_dataset"]


def __getattr__(name: str) -> Any:
    # On first use: pyarrow's datasets take half a second to import, in every worker process of a cluster.
    if name == "open_dataset":
        from arm_batch.runstate.dataset import open_dataset

        return open_dataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
