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
"""What the figure of an objective is, for a person, where tables are of errors."""

_CLOSENESS: dict[Objective, str] = {
    "image-psnr": "mean closeness of images",
    "mse": "closeness of the pooled distance",
    "psnr": "mean closeness of tiles",
}


def measure_of(objective: Objective, reference: str | None) -> str:
    """What the figure of an objective is, for a person.

    Args:
        objective: of the allocation.
        reference: the rung that the table's errors are distances from; None where they are from the truth.

    >>> measure_of("image-psnr", None)
    'mean PSNR of images'
    >>> measure_of("mse", "my-model")
    'closeness of the pooled distance to my-model everywhere'
    """
    return MEASURES[objective] if reference is None else f"{_CLOSENESS[objective]} to {reference} everywhere"
