"""How far a run is, in a few lines for a person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from arm_batch.cli.progress import clock, progress_line
from arm_batch.core.allocation.budget import human_flops

if TYPE_CHECKING:
    from arm_batch.core.attempts import Attempt
    from arm_batch.runstate.status import GenerationProgress

LOST_AFTER_S = 120.0
"""Attempts are heard of every 30 s, or later where a shard takes longer."""


def status_lines(
    rows: Sequence[GenerationProgress], attempts: Sequence[Attempt], now: datetime | None = None
) -> list[str]:
    """What is done and left of each generation, and who is at it.

    Args:
        rows: of the generations.
        attempts: by start.
        now: the time; None for what it is.
    """
    lines = [line for row in rows for line in _generation(row)]
    return lines + [line for attempt in attempts for line in _attempt(attempt, now or datetime.now(UTC))]


def _generation(row: GenerationProgress) -> list[str]:
    generation = row.generation
    budget = "(not allocated yet)" if row.budget_flops is None else f"of {human_flops(row.budget_flops)}"
    return [
        f"{generation.name} {generation.kind}: {generation.images:,} images in {generation.shards:,} shards",
        f"  planned  {row.planned:,} shards",
        f"  done     {row.done:,} images",
        f"  failed   {row.failed:,} images" + (f", {row.retried:,} more tried again" if row.retried else ""),
        f"  left     {row.left:,} shards",
        f"  spent    {human_flops(row.spent_flops)} {budget}",
    ]


def _attempt(attempt: Attempt, now: datetime) -> list[str]:
    began = datetime.fromisoformat(attempt.started)
    lines = [
        f"begun {began:%Y-%m-%d %H:%M:%S} {began.tzname()}, {attempt.executor}: {attempt.command}",
        f"  nodes    {', '.join(_node(node.name, node.cores, node.gpus) for node in attempt.nodes)}",
    ]
    if attempt.outcome != "running":
        return [*lines, f"  {attempt.outcome:8} after {clock(attempt.seconds)}"]
    silent = max(0.0, (now - datetime.fromisoformat(attempt.heard)).total_seconds())
    if silent > LOST_AFTER_S:
        return [*lines, f"  silent   for {clock(silent)}: it was killed, or is busy with something large"]
    return [*lines, f"  now      {progress_line(attempt.progress.after(silent))}"]


def _node(name: str, cores: int, gpus: int) -> str:
    return f"{name} ({cores:,} cores" + (f", {gpus:,} GPUs)" if gpus else ")")
