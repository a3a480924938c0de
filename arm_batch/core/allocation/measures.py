"""The names of what a budget can be to make best; see `core.allocation.objective`."""

from __future__ import annotations

from typing import Literal, get_args

Objective = Literal["psnr", "mse", "image-psnr"]

OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

MEASURES: dict[Objective, str] = {
    "image-psnr": "mean PSNR of images",
    "mse": "PSNR of the pooled error",
    "psnr": "mean PSNR of tiles",
}
"""What the figure of an objective is, for a person."""
