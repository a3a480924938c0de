"""``arm-batch upscale``: the main job."""

from __future__ import annotations

from typing import Annotated

import typer

from arm_batch.cli import exit_codes
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
from arm_batch.cli.progress import progress_bars
from arm_batch.cli.signals import GRACE_S, stop_signals
from arm_batch.core.image_options import AUTO, DEFAULT_READING
from arm_batch.inputs.paths import shown
from arm_batch.spec import DEFAULT_LADDER, DEFAULT_OBJECTIVE, Sink

FAILURES_SHOWN = 5


def upscale(
    input: Input,
    output: Annotated[
        str,
        typer.Argument(metavar="OUTPUT", help="Folder or s3:// prefix for the results; new or of this same run."),
    ],
    budget: Annotated[
        str | None,
        typer.Option(
            help="Share of the largest subnet everywhere (40%), FLOPs (2.5PFLOP), wall time (90min), "
            "device-hours (3gpu-hours, 1cpu-hour) or a pool (pool:URL). Default: 100%.",
            show_default=False,
        ),
    ] = None,
    target_psnr: Annotated[
        float | None,
        typer.Option(help="In place of --budget: the least spend predicted to reach so many dB by --objective."),
    ] = None,
    scale: ScaleOption = 4,
    ladder: LadderOption = DEFAULT_LADDER,
    objective: ObjectiveOption = DEFAULT_OBJECTIVE,
    sink: Annotated[
        Sink, typer.Option(help="Images inside the Parquet rows, or beside them as files or in WebDataset tars.")
    ] = "parquet",
    format: FormatOption = AUTO,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of jpeg, webp and avif.")] = 95,
    strip_metadata: Annotated[
        bool, typer.Option("--strip-metadata", help="Leave out EXIF and XMP; the colour profile stays.")
    ] = False,
    max_pixels: MaxPixelsOption = DEFAULT_READING.max_pixels,
    to_srgb: ToSrgbOption = False,
    float_range: FloatRangeOption = None,
    frames: FramesOption = "first",
    image_column: ImageColumnOption = None,
    executor: ExecutorOption = "auto",
    workers: WorkersOption = None,
    runtime: RuntimeOption = "auto",
    endpoint_url: EndpointUrlOption = None,
    include: Include = None,
    exclude: Exclude = None,
    limit: Limit = None,
    dedup: Dedup = False,
    sample: Annotated[
        str | None, typer.Option(help="Only so many images (500), or a share of them (2%), drawn at random.")
    ] = None,
    seed: Seed = 0,
    plan: Annotated[
        str | None, typer.Option(help="Folder of `arm-batch plan --plan-out`, to be carried out.")
    ] = None,
    extend: Annotated[
        bool, typer.Option("--extend", help="Take up images that came to INPUT after the plan, within --budget.")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try the failed images again.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Read OUTPUT back and do again what is damaged.")
    ] = False,
    add_budget: Annotated[
        str | None, typer.Option(help="Raise the budget of a run by so much, for what is not done yet.")
    ] = None,
    single_writer: Annotated[
        bool,
        typer.Option("--single-writer", help="No other job writes to OUTPUT: for stores without If-None-Match."),
    ] = False,
) -> None:
    """Upscale an archive, or go on with it: run again on the same OUTPUT, it does what is left.

    Exit codes: 3, some images failed, and their rows say why; 4, stopped before the end.
    """
    # Torch and Ray take seconds to load, and --help needs neither.
    from arm_batch.api import jobs
    from arm_batch.report import describe
    from arm_batch.runstate.dataset import failures

    with progress_bars("plan", "run") as progress, stop_signals(GRACE_S) as stop:
        summary = jobs.upscale(
            input,
            output,
            budget=budget,
            target_psnr=target_psnr,
            scale=scale,
            ladder=ladder,
            objective=objective,
            sink=sink,
            format=format,
            quality=quality,
            strip_metadata=strip_metadata,
            max_pixels=max_pixels,
            to_srgb=to_srgb,
            float_range=float_range,
            frames=frames,
            image_column=image_column,
            executor=executor,
            workers=workers,
            runtime=runtime,
            endpoint_url=endpoint_url,
            include=include or (),
            exclude=exclude or (),
            limit=limit,
            dedup=dedup,
            sample=sample,
            seed=seed,
            plan=plan,
            extend=extend,
            retry_failed=retry_failed,
            repair=repair,
            add_budget=add_budget,
            single_writer=single_writer,
            progress=progress,
            stop=stop,
        )
    for line in describe(summary):
        typer.echo(line)
    if summary.failed:
        typer.echo(f"{summary.failed} of {summary.images} images failed; their rows say why:", err=True)
        for path, reason in failures(output, endpoint_url, FAILURES_SHOWN):
            typer.echo(f"  {shown(path)}: {shown(reason)}", err=True)
        raise typer.Exit(exit_codes.FAILED_IMAGES)
