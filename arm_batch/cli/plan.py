"""``arm-batch plan``: the dry run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from arm_batch.cli import exit_codes
from arm_batch.cli.config_file import ConfigOption
from arm_batch.cli.forecast import forecast_lines, forecast_table
from arm_batch.cli.options import (
    BUDGET,
    CLUSTER,
    INPUT,
    OUTPUT,
    Dedup,
    EndpointUrlOption,
    Exclude,
    ExecutorOption,
    FloatRangeOption,
    FormatOption,
    FramesOption,
    ImageColumnOption,
    Include,
    Input,
    LadderOption,
    Limit,
    LogOption,
    MaxPixelsOption,
    MinSize,
    ObjectiveOption,
    PrecisionOption,
    QuietOption,
    RuntimeOption,
    ScaleOption,
    Seed,
    SkipLargerThan,
    ToSrgbOption,
    WorkersOption,
)
from arm_batch.cli.outcome import FAILURES_SHOWN
from arm_batch.cli.plot import check_plot, plot_forecast
from arm_batch.cli.progress import progress_shown
from arm_batch.cli.signals import GRACE_S, stop_signals
from arm_batch.core.image_options import AUTO, DEFAULT_READING
from arm_batch.errors import UsageError
from arm_batch.inputs.paths import shown
from arm_batch.spec import DEFAULT_OBJECTIVE

if TYPE_CHECKING:
    from arm_batch.forecast import Forecast


STDOUT = Path("-")


def plan_command(
    input: Input,
    include: Include = None,
    exclude: Exclude = None,
    min_size: MinSize = None,
    skip_larger_than: SkipLargerThan = None,
    limit: Limit = None,
    sample: Annotated[
        str | None,
        typer.Option(
            help="Look at N images (500) or a share (2%) of them, drawn at random.", rich_help_panel=INPUT
        ),
    ] = None,
    seed: Seed = 0,
    dedup: Dedup = False,
    image_column: ImageColumnOption = None,
    plan_out: Annotated[
        str | None,
        typer.Option(
            help="Keep the plan in this folder or s3:// prefix, for `upscale --plan`.", rich_help_panel=OUTPUT
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the curve into this file (.png, .svg, .pdf).", rich_help_panel=OUTPUT),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write all figures into this file; - for stdout.", rich_help_panel=OUTPUT)
    ] = None,
    format: FormatOption = AUTO,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            "-b",
            help="Tell what this budget would buy, too: 40%, 2.5PFLOP or 28dB.",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    objective: ObjectiveOption = DEFAULT_OBJECTIVE,
    ladder: LadderOption = None,
    scale: ScaleOption = None,
    max_pixels: MaxPixelsOption = DEFAULT_READING.max_pixels,
    to_srgb: ToSrgbOption = False,
    float_range: FloatRangeOption = None,
    frames: FramesOption = "first",
    executor: ExecutorOption = "auto",
    workers: WorkersOption = None,
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "auto",
    endpoint_url: EndpointUrlOption = None,
    no_profiling: Annotated[
        bool,
        typer.Option(
            "--no-profiling", help="Do not measure the machines, which takes seconds.", rich_help_panel=CLUSTER
        ),
    ] = False,
    config: ConfigOption = None,
    log: LogOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """Predict what each budget would buy and how long it would take, without upscaling anything.

    It writes only what --plan-out, --plot and --json ask for. Exit code 3: some images cannot be upscaled.
    """
    # Torch and Ray take seconds to load, and --help needs neither.
    from arm_batch.api import plans
    from arm_batch.forecast import forecast_document

    del config
    _check_files(plot, json)
    with progress_shown(log, quiet) as progress, stop_signals(GRACE_S) as stop:
        forecast = plans.plan(
            input,
            plan_out=plan_out,
            sample=sample,
            seed=seed,
            include=include or (),
            exclude=exclude or (),
            min_size=min_size,
            skip_larger_than=skip_larger_than,
            limit=limit,
            dedup=dedup,
            budget=budget,
            scale=scale,
            ladder=ladder,
            objective=objective,
            format=format,
            max_pixels=max_pixels,
            to_srgb=to_srgb,
            float_range=float_range,
            frames=frames,
            image_column=image_column,
            executor=executor,
            workers=workers,
            runtime=runtime,
            precision=precision,
            endpoint_url=endpoint_url,
            profiling=not no_profiling,
            progress=progress,
            stop=stop,
        )
    if not quiet and json != STDOUT:
        _tell(forecast)
    if plot is not None and forecast.curve:
        plot_forecast(forecast, plot)
    if json == STDOUT:
        typer.echo(forecast_document(forecast), nl=False)
    elif json is not None:
        json.write_text(forecast_document(forecast))
    _tell_failures(forecast)
    if forecast.failures:
        raise typer.Exit(exit_codes.FAILED_IMAGES)


def _check_files(plot: Path | None, json: Path | None) -> None:
    """Refuse files that could not be written, before the work."""
    if plot is not None:
        check_plot(plot)
    if json is not None and not json.parent.is_dir():
        raise UsageError(f"--json {json}: there is no folder {json.parent}")


def _tell(forecast: Forecast) -> None:
    if forecast.curve:
        Console().print(forecast_table(forecast))
    for line in forecast_lines(forecast):
        typer.echo(line)


def _tell_failures(forecast: Forecast) -> None:
    if forecast.failures:
        typer.echo(f"{len(forecast.failures)} of {forecast.scored} images cannot be upscaled:", err=True)
    for path, reason in forecast.failures[:FAILURES_SHOWN]:
        typer.echo(f"  {shown(path)}: {shown(reason)}", err=True)
