"""A dry run's result for a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from arm_batch.core.allocation.budget import human_flops
from arm_batch.core.allocation.measures import MEASURES

if TYPE_CHECKING:
    from arm_batch.core.allocation.bootstrap import Interval
    from arm_batch.forecast import Estimate, Outcome, Outlook

SHARES_SHOWN = (0.05, *(0.1 * i for i in range(1, 11)))
"""Of the largest subnet everywhere; the curve itself has more points."""


def outlook_table(outlook: Outlook) -> Table:
    """The curve at round budgets, its knee, and the budget that was asked about."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("spend", justify="right")
    table.add_column("FLOPs", justify="right")
    table.add_column(f"predicted, dB{'' if outlook.seed is None else ' (95 % sure)'}", justify="right")
    table.add_column("gain, dB", justify="right")
    for pool in outlook.curve[0].pool_seconds:
        table.add_column(f"on {pool}", justify="right")
    table.add_column("")
    base = outlook.curve[0].predicted.of(outlook.objective)
    for point, note in _rows(outlook):
        figure = point.predicted.of(outlook.objective)
        table.add_row(
            f"{point.share:.1%}",
            human_flops(point.flops),
            f"{figure:.2f}{_spread(point.interval, '{:.2f}'.format)}",
            f"{figure - base:+.2f}",
            *map(_time, point.pool_seconds.values()),
            note,
            style="bold" if note else None,
        )
    return table


def outlook_lines(outlook: Outlook) -> list[str]:
    """Everything beside the curve."""
    scored = f"{outlook.images:,}"
    if outlook.seed is not None:
        scored = (
            f"{outlook.images:,}, of which {outlook.scored:,} drawn at random (seed {outlook.seed}) were scored"
        )
    lines = [
        f"images     {scored} ({len(outlook.failures):,} cannot be upscaled)",
        f"tiles      {_count(outlook.tiles)}",
        f"100%       {_flops(outlook.full_flops.value)}{_spread(outlook.full_flops.interval, _flops)}: "
        f"{outlook.subnets[-1]} everywhere",
        f"predicted  {MEASURES[outlook.objective]}, from the LUT of {outlook.ladder}; "
        f"gain over {outlook.subnets[0]} everywhere",
        f"output     {_count(outlook.output_pixels)} pixels; about {_size(outlook.output_bytes.value)}"
        f"{_spread(outlook.output_bytes.interval, _size)} as {outlook.format}",
        f"           (at {outlook.bytes_per_pixel:.2f} bytes a pixel, as measured on photographs)",
    ]
    if outlook.devices:
        held = " or ".join(f"{number:,} {kind}" for kind, number in outlook.devices.items())
        lines.append(f"time       expected after planning with {held}, from speeds measured here")
    if outlook.asked is not None and outlook.asked.refused is not None:
        lines.append(f"asked      {outlook.asked.budget}: {outlook.asked.refused}")
    if not outlook.curve:
        lines.append(f"curve      none: {_why_no_curve(outlook)}")
    if outlook.waiting:
        lines.append(f"new        {outlook.waiting:,} images came to the input later and are not in the plan")
    if outlook.copies:
        lines.append(f"copies     {outlook.copies:,} images are copies of others; they cost nothing")
    lines += [f"left out   {line}" for line in outlook.left_out]
    if outlook.plan is not None:
        lines.append(f"plan       {outlook.plan}: carried out by `arm-batch upscale INPUT OUTPUT --plan`")
    return lines


def _why_no_curve(outlook: Outlook) -> str:
    if not outlook.output_pixels.value:
        return "no image can be read"
    return "all images are in two tones or dithered, and are interpolated at no FLOPs"


def _rows(outlook: Outlook) -> list[tuple[Outcome, str]]:
    """Points by spend, each with what is to be said of it."""
    curve, asked = outlook.curve, outlook.asked
    rows: dict[int, tuple[Outcome, list[str]]] = {}
    for share in SHARES_SHOWN:
        point = [curve[0], *(point for point in curve if point.share <= share + 1e-9)][-1]
        rows.setdefault(point.flops, (point, []))
    marked = [(curve[0], outlook.subnets[0]), (outlook.knee, "knee")]
    if asked is not None:
        marked.append((asked.outcome, asked.budget))
    for marked_point, note in marked:
        if marked_point is not None:
            rows.setdefault(marked_point.flops, (marked_point, []))[1].append(note)
    return [(rows[flops][0], ", ".join(rows[flops][1])) for flops in sorted(rows)]


def _time(seconds: float) -> str:
    """Such as ``0.4 s``, ``12 min`` or ``3.5 h``."""
    for unit, length, least in (("h", 3600, 7200), ("min", 60, 600)):
        if seconds >= least:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.1f} s"


def _count(estimate: Estimate) -> str:
    return f"{estimate.value:,.0f}{_spread(estimate.interval, '{:,.0f}'.format)}"


def _spread(interval: Interval | None, show: Callable[[float], str]) -> str:
    return "" if interval is None else f" ({show(interval.low)} to {show(interval.high)})"


def _flops(flops: float) -> str:
    return human_flops(round(flops))


def _size(size: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
