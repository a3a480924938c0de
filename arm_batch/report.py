"""The record of a run: ``run.json``."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

import numpy as np

from arm_batch.core.allocation.deadline import TimeForecast
from arm_batch.core.allocation.knapsack import Allocation
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.allocation.objective import Quality
from arm_batch.core.attempts import Attempt
from arm_batch.core.json_records import Amount, Record, encode_record
from arm_batch.core.prediction.ladder import Ladder, Subnet

RUN_KEY = "run.json"

LIBRARIES = (
    "arm-batch",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "pyarrow",
    "pyvips",
    "pyvips-binary",
    "ray",
    "torch",
)


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Wall seconds of each part of a run."""

    list_seconds: float
    start_seconds: float
    plan_seconds: float
    run_seconds: float


class RunSummary(Record, frozen=True, kw_only=True):
    """What became of a run, over all its generations.

    Attributes:
        run_id: of the run.
        output: where it is.
        images: rows that count.
        failed: rows among them with status `failed`.
        waiting: images that INPUT holds and the run does not, although they are selected.
        duplicates: images whose output is that of another of the same bytes.
        skipped: what else INPUT holds, a line for each kind.
        budget: as asked for.
        budget_flops: the same in executed FLOPs.
        full_flops: executed FLOPs of the largest subnet everywhere.
        spent_flops: executed FLOPs spent.
        objective: what the allocation makes best.
        predicted: what it is predicted to reach; ``None`` when no image could be read.
        interpolated: what interpolation alone is predicted to; None like that, and in records of before.
        reference: the rung that `predicted` is closeness to; None where it is PSNR.
        subnet_tiles: tiles per subnet, by name.
        repaired: what was damaged and has been done again.
        expected_seconds: wall time of all generations with a budget of time together; ``None`` without any.
        ran: where this attempt ran, and why there; empty where nothing was left to run.
        timings: of this attempt.
    """

    run_id: str
    output: str
    images: int
    failed: int
    waiting: int
    duplicates: int
    skipped: tuple[str, ...]
    budget: str
    budget_flops: int
    full_flops: int
    spent_flops: int
    objective: Objective
    predicted: Quality | None
    interpolated: Quality | None = None
    reference: str | None
    subnet_tiles: dict[str, int]
    repaired: tuple[str, ...]
    expected_seconds: float | None
    ran: str
    timings: Timings


class LadderPart(Record, frozen=True):
    """The ladder in ``run.json``; attributes as of `Ladder`, with its table's provenance."""

    name: str
    sha256: str
    tile: int
    halo: int
    subnets: tuple[Subnet, ...]
    lut: dict[str, str]


class AllocationPart(Record, frozen=True):
    """The allocation of all generations in ``run.json``: ``tiles[bin][subnet]``, and the bins by score."""

    scores: tuple[str, ...]
    score_edges: list[float]
    score_cuts: list[list[float]]
    tiles: list[list[int]]
    spend_flops: int


class GenerationPart(Record, frozen=True):
    """A generation in ``run.json``; attributes as of `GenerationReport`."""

    kind: str
    images: int
    budget: str
    budget_flops: int
    spent_flops: int
    spend_flops: int
    price_per_flop: float
    predicted: Quality | None
    forecast: TimeForecast | None


class RunRecord(RunSummary, frozen=True, kw_only=True):
    """What ``run.json`` holds. It is for people and their tools: no run reads it.

    Attributes:
        started: when the first attempt began, UTC, ISO 8601; None where no attempt is known.
        ended: when the last was heard of.
        seconds: wall time of all attempts together.
        attempts: by start: who, where, how long.
    """

    what: ClassVar[str] = "the record of a run"
    remedy: ClassVar[str] = "running the same `arm-batch upscale` again writes it anew"
    format: ClassVar[int] = 2

    flops_convention: str
    settings: dict[str, str]
    ladder: LadderPart
    allocation: AllocationPart
    generations: tuple[GenerationPart, ...]
    versions: dict[str, str | None]
    started: str | None = None
    ended: str | None = None
    seconds: Amount = 0.0
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GenerationReport:
    """One generation of a run.

    Attributes:
        kind: ``initial``, ``extend`` or ``retry``.
        images: inputs in it.
        budget: as asked for.
        budget_flops: the same in executed FLOPs.
        spent_flops: of them.
        allocation: tiles per image class, score bin and subnet.
        quality: predicted of it; ``None`` where no image could be read.
        forecast: of a budget of time: measured speeds, and what they let expect.
    """

    kind: str
    images: int
    budget: str
    budget_flops: int
    spent_flops: int
    allocation: Allocation
    quality: Quality | None
    forecast: TimeForecast | None


def run_document(
    summary: RunSummary,
    settings: dict[str, str],
    ladder: Ladder,
    generations: Sequence[GenerationReport],
    attempts: Sequence[Attempt],
) -> bytes:
    """The bytes of ``run.json``: budget, spend, allocation, versions, hashes, timings and attempts."""
    lut = ladder.lut
    record = RunRecord(
        **{name: getattr(summary, name) for name in summary.__struct_fields__},
        flops_convention="executed: 2 x multiply-adds per tile with its halo",
        settings=settings,
        ladder=LadderPart(
            ladder.name, ladder.digest, ladder.grid.tile, ladder.grid.halo, ladder.subnets, lut.provenance
        ),
        allocation=AllocationPart(
            scores=tuple(score.name for score in lut.scores),
            score_edges=lut.edges.tolist(),
            score_cuts=lut.cuts.tolist(),
            tiles=np.sum([g.allocation.tiles.sum(axis=0) for g in generations], axis=0).tolist(),
            spend_flops=sum(g.allocation.spend for g in generations),
        ),
        generations=tuple(map(_generation, generations)),
        started=attempts[0].started if attempts else None,
        ended=max((attempt.heard for attempt in attempts), default=None),
        seconds=sum(attempt.seconds for attempt in attempts),
        attempts=tuple(attempts),
        versions={"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}},
    )
    return encode_record(record)


def _generation(report: GenerationReport) -> GenerationPart:
    return GenerationPart(
        kind=report.kind,
        images=report.images,
        budget=report.budget,
        budget_flops=report.budget_flops,
        spent_flops=report.spent_flops,
        spend_flops=report.allocation.spend,
        price_per_flop=report.allocation.marginal_value,
        predicted=report.quality,
        forecast=report.forecast,
    )


def _version(library: str) -> str | None:
    """Of an installed library; ``None`` where it came some other way, such as a job's working directory."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None
