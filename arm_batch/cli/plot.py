"""Drawing a dry run's curve, and whether anything can be drawn; matplotlib comes with the extra ``plot``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from arm_batch.core.allocation.budget import human_flops
from arm_batch.core.allocation.measures import measure_of
from arm_batch.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from arm_batch.forecast import Forecast

FORMATS = (".png", ".svg", ".pdf")


def check_plot(path: Path) -> None:
    """Say before anything is planned or measured that the plot cannot be drawn.

    Raises:
        UsageError: matplotlib is missing, the extension is none of `FORMATS`, or the folder does not exist.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib: pip install 'arm-batch[plot]'")
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"--plot {path}: the name must end in {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise UsageError(f"--plot {path}: there is no folder {path.parent}")


def plot_forecast(forecast: Forecast, path: Path) -> None:
    """Draw predicted quality over spend, with the knee, the intervals of a sample, and the budget asked about.

    Where machines were measured, expected wall time goes by a second axis.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    axes = figure.add_subplot()
    _draw_curve(forecast, axes)
    _draw_points(forecast, axes)
    axes.set_xlabel(
        f"executed FLOPs, % of {forecast.subnets[-1]} everywhere ({human_flops(round(forecast.full_flops.value))})"
    )
    axes.set_ylabel(f"predicted {measure_of(forecast.objective, forecast.reference)}, dB")
    axes.set_title(f"{forecast.images:,} images, {forecast.ladder}")
    axes.set_xlim(0, 100)
    axes.grid(alpha=0.3)
    _draw_times(forecast, axes)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)


def _draw_curve(forecast: Forecast, axes: Axes) -> None:
    """Quality over spend, with the intervals where a sample was scored."""
    shares = [100 * point.share for point in forecast.curve]
    axes.plot(shares, [point.predicted.of(forecast.objective) for point in forecast.curve], color="tab:blue")
    intervals = [point.interval for point in forecast.curve if point.interval is not None]
    if intervals:
        axes.fill_between(
            shares,
            [interval.low for interval in intervals],
            [interval.high for interval in intervals],
            color="tab:blue",
            alpha=0.15,
            linewidth=0,
            label=f"95 %, {forecast.scored:,} of {forecast.images:,} images",
        )


def _draw_points(forecast: Forecast, axes: Axes) -> None:
    """The knee, and the budget asked about."""
    marked = [(forecast.knee, "knee", "o")]
    if forecast.asked is not None:
        marked.append((forecast.asked.outcome, forecast.asked.budget, "D"))
    for point, name, marker in marked:
        if point is not None:
            quality = point.predicted.of(forecast.objective)
            told = f"{name}: {human_flops(point.flops)} ({point.share:.1%}), {quality:.2f} dB"
            color = "tab:orange" if name == "knee" else "black"
            axes.plot(100 * point.share, quality, marker, color=color, label=told)


def _draw_times(forecast: Forecast, axes: Axes) -> None:
    if not forecast.devices:
        return
    times = axes.twinx()
    for kind, style in zip(forecast.devices, ("--", ":", "-."), strict=False):
        color = "tab:green"
        seconds = [point.pool_seconds[kind] for point in forecast.curve]
        times.plot([100 * point.share for point in forecast.curve], seconds, style, color=color)
        # So that one legend names both axes' lines.
        axes.plot([], [], style, color=color, label=f"time on {forecast.devices[kind]:,} {kind}")
    times.set_ylabel("expected wall time after planning, s")
    times.set_ylim(bottom=0)
