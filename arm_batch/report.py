"""The record of a run, as ``run.json`` and as a few lines for a terminal."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from arm_batch.core.allocate import Allocation
from arm_batch.core.ladder import Ladder

RUN_KEY = "run.json"

LIBRARIES = ("arm-batch", "numpy", "opencv-python-headless", "pillow", "pyarrow", "ray", "torch")


@dataclass(frozen=True)
class Timings:
    """Wall seconds of each part of a run."""

    list_seconds: float
    start_seconds: float
    plan_seconds: float
    run_seconds: float


@dataclass(frozen=True)
class RunSummary:
    """What became of a run.

    Attributes:
        run_id: of the run.
        output: where it is.
        images: rows committed.
        failed: rows among them with status `failed`.
        budget: as asked for.
        budget_flops: the same in executed FLOPs.
        full_flops: executed FLOPs of the largest subnet everywhere.
        spent_flops: executed FLOPs spent.
        psnr_predicted_db: of the allocation; ``None`` when no image could be read.
        subnet_tiles: tiles per subnet, by name.
        timings: of this attempt.
    """

    run_id: str
    output: str
    images: int
    failed: int
    budget: str
    budget_flops: int
    full_flops: int
    spent_flops: int
    psnr_predicted_db: float | None
    subnet_tiles: dict[str, int]
    timings: Timings


def run_document(
    summary: RunSummary,
    settings: dict[str, str],
    ladder: Ladder,
    allocation: Allocation,
    parts: Sequence[str],
) -> str:
    """The text of ``run.json``: budget, spend, allocation, versions, hashes, timings and the parts that count."""
    document = {
        **asdict(summary),
        "flops_convention": "executed: 2 x multiply-adds per tile with its halo",
        "settings": settings,
        "ladder": {
            "name": ladder.name,
            "sha256": ladder.digest,
            "tile": ladder.grid.tile,
            "halo": ladder.grid.halo,
            "subnets": [asdict(s) for s in ladder.subnets],
            "lut": ladder.lut.provenance,
        },
        "allocation": {
            "scores": [score.name for score in ladder.lut.scores],
            "score_edges": ladder.lut.edges.tolist(),
            "score_cuts": ladder.lut.cuts.tolist(),
            "tiles": allocation.tiles.tolist(),
            "spend_flops": allocation.spend,
            "price_per_flop": allocation.price,
        },
        "parts": list(parts),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}},
    }
    return json.dumps(document, indent=1) + "\n"


def _version(library: str) -> str | None:
    """Of an installed library; ``None`` where it came some other way, such as a job's working directory."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def human_flops(flops: int) -> str:
    """Such as ``2.50 TFLOP``.

    >>> human_flops(2_500_000_000_000)
    '2.50 TFLOP'
    """
    amount = float(flops)
    for unit in ("", "K", "M", "G", "T", "P"):
        if amount < 1000:
            return f"{amount:.2f} {unit}FLOP"
        amount /= 1000
    return f"{amount:.2f} EFLOP"


def describe(summary: RunSummary) -> list[str]:
    """The run in a few lines for a person."""
    share = summary.spent_flops / summary.full_flops if summary.full_flops else 0.0
    tiles = ", ".join(f"{name} {count:,}" for name, count in summary.subnet_tiles.items())
    quality = "-" if summary.psnr_predicted_db is None else f"{summary.psnr_predicted_db:.2f} dB"
    seconds = summary.timings
    return [
        f"images     {summary.images:,} ({summary.failed:,} failed)",
        f"budget     {summary.budget} = {human_flops(summary.budget_flops)}",
        f"spent      {human_flops(summary.spent_flops)}, {share:.2%} of the largest subnet everywhere",
        f"tiles      {tiles}",
        f"predicted  {quality} (pooled PSNR, from the LUT)",
        f"time       list {seconds.list_seconds:.1f} s, start {seconds.start_seconds:.1f} s, "
        f"plan {seconds.plan_seconds:.1f} s, run {seconds.run_seconds:.1f} s",
        f"output     {summary.output} (record: {RUN_KEY})",
    ]
