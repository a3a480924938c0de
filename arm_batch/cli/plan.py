"""``arm-batch plan``: the dry run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from arm_batch.cli import exit_codes
from arm_batch.cli.forecast import forecast_lines, forecast_table
from arm_batch.cli.options import (
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
    MaxPixelsOption,
    ObjectiveOption,
    RuntimeOption,
    ScaleOption,
    Seed,
    ToSrgbOption,
    WorkersOption,
)
from arm_batch.cli.plot import check_plot, plot_forecast
from arm_batch.cli.progress import progress_bars
from arm_batch.cli.signals import GRACE_S, stop_signals
from arm_batch.cli.upscale import FAILURES_SHOWN
from arm_batch.core.image_options import AUTO, DEFAULT_READING
from arm_batch.errors import UsageError
from arm_batch.inputs.paths import shown
from arm_batch.spec import DEFAULT_LADDER, DEFAULT_OBJECTIVE


def plan_command(
    input: Input,
    plan_out: Annotated[
        str | None, typer.Option(help="Folder or s3:// prefix to keep the plan in, for `upscale --plan`.")
    ] = None,
    sample: Annotated[
        str | None, typer.Option(help="Look at so many images (500), or a share of them (2%), drawn at random.")
    ] = None,
    seed: Seed = 0,
    include: Include = None,
    exclude: Exclude = None,
    limit: Limit = None,
    dedup: Dedup = False,
    budget: Annotated[
        str | None, typer.Option(help="A budget to tell about beside the curve: 40%, 2.5PFLOP, or 28dB.")
    ] = None,
    scale: ScaleOption = 4,
    ladder: LadderOption = DEFAULT_LADDER,
    objective: ObjectiveOption = DEFAULT_OBJECTIVE,
    format: FormatOption = AUTO,
    max_pixels: MaxPixelsOption = DEFAULT_READING.max_pixels,
    to_srgb: ToSrgbOption = False,
    float_range: FloatRangeOption = None,
    frames: FramesOption = "first",
    image_column: ImageColumnOption = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the curve into this file (.png, .svg, .pdf).")] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything into this file.")] = None,
    executor: ExecutorOption = "auto",
    workers: WorkersOption = None,
    runtime: RuntimeOption = "auto",
    endpoint_url: EndpointUrlOption = None,
    no_profiling: Annotated[
        bool, typer.Option("--no-profiling", help="Do not measure the machines, which takes some seconds.")
    ] = False,
) -> None:
    """Predict what each budget would buy and how long it would take, without upscaling anything.

    Nothing is written but what --plan-out, --plot and --json ask for. Exit code 3: some images cannot be upscaled.
    """
    # Torch and Ray take seconds to load, and --help needs neither.
    from arm_batch.api import plans
    from arm_batch.forecast import forecast_document

    if plot is not None:
        check_plot(plot)
    if json is not None and not json.parent.is_dir():
        raise UsageError(f"--json {json}: there is no folder {json.parent}")
    with progress_bars("plan") as progress, stop_signals(GRACE_S) as stop:
        forecast = plans.plan(
            input,
            plan_out=plan_out,
            sample=sample,
            seed=seed,
            include=include or (),
            exclude=exclude or (),
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
            endpoint_url=endpoint_url,
            profiling=not no_profiling,
            progress=progress,
            stop=stop,
        )
    if forecast.curve:
        Console().print(forecast_table(forecast))
    for line in forecast_lines(forecast):
        typer.echo(line)
    if plot is not None and forecast.curve:
        plot_forecast(forecast, plot)
    if json is not None:
        json.write_text(forecast_document(forecast))
    if forecast.failures:
        typer.echo(f"{len(forecast.failures)} of {forecast.scored} images cannot be upscaled:", err=True)
        for path, reason in forecast.failures[:FAILURES_SHOWN]:
            typer.echo(f"  {shown(path)}: {shown(reason)}", err=True)
        raise typer.Exit(exit_codes.FAILED_IMAGES)
