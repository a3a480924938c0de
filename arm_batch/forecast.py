"""What a dry run tells: what each budget is predicted to reach, and what it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from arm_batch.core.allocation.bootstrap import Interval
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.allocation.objective import Quality


@dataclass(frozen=True)
class Estimate:
    """A figure of the whole archive; the interval is None where every image was scored."""

    value: float
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one spend is predicted to come to.

    Attributes:
        flops: executed, of the whole archive.
        share: of the largest subnet everywhere.
        predicted: quality.
        interval: of the objective's figure; None where every image was scored.
        subnet_tiles: tiles per subnet, cheapest first, of the whole archive.
        pool_seconds: wall seconds that all images are expected to take after planning, by kind of devices, if
            those ran all nets; empty where nothing was measured.
    """

    flops: int
    share: float
    predicted: Quality
    interval: Interval | None
    subnet_tiles: tuple[int, ...]
    pool_seconds: Mapping[str, float]


@dataclass(frozen=True)
class Asked:
    """A budget that was asked about: what it comes to, or why it comes to nothing."""

    budget: str
    outcome: Outcome | None
    refused: str | None


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The result of a dry run.

    Attributes:
        input: URL.
        plan: URL of the folder that holds the plan; None where nothing was written.
        ladder: its name.
        subnets: its subnets, cheapest first.
        objective: what the budget is to make best.
        reference: the rung that predictions are closeness to; None where they are PSNR.
        format: of the images to be written.
        images: in the archive.
        scored: images that were looked at.
        seed: of the sample; None where every image was looked at.
        failures: path and reason of each of those that cannot be upscaled.
        waiting: images that came to the input after the plan.
        skipped: what the input holds beside them, a line for each kind.
        duplicates: images of the same bytes as others: no figure but `images` counts them.
        tiles: of the archive.
        full_flops: of the largest subnet everywhere.
        output_pixels: to be written.
        bytes_per_pixel: that upscaled photographs were measured to take in `format`.
        output_bytes: `output_pixels` times `bytes_per_pixel`.
        devices: how many of each kind were measured; empty where nothing was.
        curve: by spend, from interpolation everywhere to all that helps; empty where no image is for nets.
        knee: the point of the curve beyond which a FLOP buys less than the average one.
        asked: the budget that was asked about.
    """

    input: str
    plan: str | None
    ladder: str
    subnets: tuple[str, ...]
    objective: Objective
    reference: str | None
    format: str
    images: int
    scored: int
    seed: int | None
    failures: tuple[tuple[str, str], ...]
    waiting: int
    skipped: tuple[str, ...]
    duplicates: int
    tiles: Estimate
    full_flops: Estimate
    output_pixels: Estimate
    bytes_per_pixel: float
    output_bytes: Estimate
    devices: Mapping[str, int]
    curve: tuple[Outcome, ...]
    knee: Outcome | None
    asked: Asked | None


def forecast_document(forecast: Forecast) -> str:
    """The forecast as JSON."""
    return (
        json.dumps(
            {**asdict(forecast), "flops_convention": "executed: 2 x multiply-adds per tile with its halo"},
            indent=1,
        )
        + "\n"
    )
