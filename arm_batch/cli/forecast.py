"""A dry run's result for a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from arm_batch.core.allocation.budget import human_flops
from arm_batch.core.allocation.measures import measure_of

if TYPE_CHECKING:
    from arm_batch.core.allocation.bootstrap import Interval
    from arm_batch.forecast import Estimate, Forecast, Outcome

SHARES_SHOWN = (0.05, *(0.1 * i for i in range(1, 11)))
"""Of the largest subnet everywhere; the curve itself has more points."""


def forecast_table(forecast: Forecast) -> Table:
    """The curve at round budgets, its knee, and the budget that was asked about."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("spend", justify="right")
    table.add_column("FLOPs", justify="right")
    table.add_column(f"predicted, dB{'' if forecast.seed is None else ' (95 % sure)'}", justify="right")
    table.add_column("gain, dB", justify="right")
    for pool in forecast.curve[0].pool_seconds:
        table.add_column(f"on {pool}", justify="right")
    table.add_column("")
    base = forecast.curve[0].predicted.of(forecast.objective)
    for point, note in _rows(forecast):
        figure = point.predicted.of(forecast.objective)
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


def forecast_lines(forecast: Forecast) -> list[str]:
    """Everything beside the curve."""
    scored = f"{forecast.images:,}"
    if forecast.seed is not None:
        scored = (
            f"{forecast.images:,}, of which {forecast.scored:,} drawn at random (seed {forecast.seed}) were scored"
        )
    lines = [
        f"images     {scored} ({len(forecast.failures):,} cannot be upscaled)",
        f"tiles      {_count(forecast.tiles)}",
        f"100%       {_flops(forecast.full_flops.value)}{_spread(forecast.full_flops.interval, _flops)}: "
        f"{forecast.subnets[-1]} everywhere",
        f"predicted  {measure_of(forecast.objective, forecast.reference)}, from the LUT of {forecast.ladder}; "
        f"gain over {forecast.subnets[0]} everywhere",
        f"output     {_count(forecast.output_pixels)} pixels; about {_size(forecast.output_bytes.value)}"
        f"{_spread(forecast.output_bytes.interval, _size)} as {forecast.format}",
        f"           (at {forecast.bytes_per_pixel:.2f} bytes a pixel, as measured on photographs)",
    ]
    if forecast.devices:
        held = " or ".join(f"{number:,} {kind}" for kind, number in forecast.devices.items())
        lines.append(f"time       expected after planning with {held}, from speeds measured here")
    if forecast.asked is not None and forecast.asked.refused is not None:
        lines.append(f"asked      {forecast.asked.budget}: {forecast.asked.refused}")
    if not forecast.curve:
        lines.append(f"curve      none: {_why_no_curve(forecast)}")
    if forecast.waiting:
        lines.append(f"new        {forecast.waiting:,} images came to the input later and are not in the plan")
    if forecast.duplicates:
        lines.append(f"copies     {forecast.duplicates:,} images are copies of others; they cost nothing")
    lines += [f"left out   {line}" for line in forecast.skipped]
    if forecast.plan is not None:
        lines.append(f"plan       {forecast.plan}: carried out by `arm-batch upscale INPUT OUTPUT --plan`")
    return lines


def _why_no_curve(forecast: Forecast) -> str:
    if not forecast.output_pixels.value:
        return "no image can be read"
    return "all images are in two tones, dithered or thin, and are interpolated at no FLOPs"


def _rows(forecast: Forecast) -> list[tuple[Outcome, str]]:
    """Points by spend, each with what is to be said of it."""
    curve, asked = forecast.curve, forecast.asked
    rows: dict[int, tuple[Outcome, list[str]]] = {}
    for share in SHARES_SHOWN:
        point = [curve[0], *(point for point in curve if point.share <= share + 1e-9)][-1]
        rows.setdefault(point.flops, (point, []))
    marked = [(curve[0], forecast.subnets[0]), (forecast.knee, "knee")]
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
