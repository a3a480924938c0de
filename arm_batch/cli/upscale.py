"""``arm-batch upscale``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arm_batch.cli.config_file import ConfigOption
from arm_batch.cli.destination import destination, one_output
from arm_batch.cli.endings import AllowFailuresOption, DryRunOption, OutputArgument, OutputOption
from arm_batch.cli.options import (
    BUDGET,
    INPUT,
    OUTPUT,
    RESUME,
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
    JsonOption,
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
from arm_batch.cli.outcome import Allowance, end
from arm_batch.cli.plan import plan_command
from arm_batch.cli.progress import progress_shown
from arm_batch.cli.signals import GRACE_S, stop_signals
from arm_batch.core.image_options import AUTO, DEFAULT_READING
from arm_batch.spec import DEFAULT_OBJECTIVE, Sink


def upscale(
    input: Input,
    output: OutputArgument = None,
    include: Include = None,
    exclude: Exclude = None,
    min_size: MinSize = None,
    skip_larger_than: SkipLargerThan = None,
    limit: Limit = None,
    sample: Annotated[
        str | None,
        typer.Option(help="Take N images (500) or a share (2%) of them, drawn at random.", rich_help_panel=INPUT),
    ] = None,
    seed: Seed = 0,
    dedup: Dedup = False,
    image_column: ImageColumnOption = None,
    to: OutputOption = None,
    sink: Annotated[
        Sink,
        typer.Option(
            help="Put images into the Parquet rows, or beside them as files or in WebDataset tar files.",
            rich_help_panel=OUTPUT,
        ),
    ] = "parquet",
    format: FormatOption = AUTO,
    quality: Annotated[
        int, typer.Option(min=1, max=100, help="Quality of jpeg, webp and avif.", rich_help_panel=OUTPUT)
    ] = 95,
    strip_metadata: Annotated[
        bool,
        typer.Option(
            "--strip-metadata", help="Leave out EXIF and XMP. The colour profile stays.", rich_help_panel=OUTPUT
        ),
    ] = False,
    single_writer: Annotated[
        bool,
        typer.Option(
            "--single-writer",
            help="Promise that no other job writes to OUTPUT, for stores without If-None-Match.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            "-b",
            help="Share of the largest subnet everywhere (40%), FLOPs (2.5PFLOP), wall time (90min), "
            "device-hours (3gpu-hours, 1cpu-hour) or a pool (pool:URL). Default: 100%.",
            show_default=False,
            rich_help_panel=BUDGET,
        ),
    ] = None,
    target_psnr: Annotated[
        float | None,
        typer.Option(
            help="Spend the least that is predicted to reach this many dB, instead of --budget.",
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
    plan: Annotated[
        str | None,
        typer.Option(
            help="Carry out the plan that `arm-batch plan --plan-out` left in this folder.", rich_help_panel=RESUME
        ),
    ] = None,
    extend: Annotated[
        bool,
        typer.Option(
            "--extend",
            help="Take up images that INPUT got after the plan, within --budget.",
            rich_help_panel=RESUME,
        ),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try the failed images again.", rich_help_panel=RESUME)
    ] = False,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Read OUTPUT back and do again what is damaged.", rich_help_panel=RESUME),
    ] = False,
    add_budget: Annotated[
        str | None,
        typer.Option(
            help="Raise the budget of the run by this much, for what is not done yet.", rich_help_panel=RESUME
        ),
    ] = None,
    allow_failures: AllowFailuresOption = None,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    log: LogOption = "auto",
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Upscale an archive within a budget. Run it again on the same OUTPUT, and it does what is left.

    Exit code 3: some images failed, and their rows say why. Exit code 4: it was stopped before the end.
    """
    del config
    if dry_run:
        plan_command(
            input=input,
            include=include,
            exclude=exclude,
            min_size=min_size,
            skip_larger_than=skip_larger_than,
            limit=limit,
            sample=sample,
            seed=seed,
            dedup=dedup,
            image_column=image_column,
            json=Path("-") if json else None,
            format=format,
            budget=budget if target_psnr is None else f"{target_psnr:g}dB",
            objective=objective,
            ladder=ladder,
            scale=scale,
            max_pixels=max_pixels,
            to_srgb=to_srgb,
            float_range=float_range,
            frames=frames,
            executor=executor,
            workers=workers,
            runtime=runtime,
            endpoint_url=endpoint_url,
            log=log,
            quiet=quiet,
        )
        return
    # Torch and Ray take seconds to load, and --help needs neither.
    from arm_batch.api import jobs

    allowed, goes_on = Allowance(allow_failures), any((extend, retry_failed, repair, add_budget, plan))
    with (
        destination(input, one_output(output, to), sink, format, goes_on) as target,
        progress_shown(log, quiet) as progress,
        stop_signals(GRACE_S) as stop,
    ):
        summary = jobs.upscale(
            input,
            target.folder,
            budget=budget,
            target_psnr=target_psnr,
            scale=scale,
            ladder=ladder,
            objective=objective,
            sink=target.sink,
            format=target.format,
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
            precision=precision,
            endpoint_url=endpoint_url,
            include=include or (),
            exclude=exclude or (),
            min_size=min_size,
            skip_larger_than=skip_larger_than,
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
        end(summary, target, endpoint_url, allowed, json, quiet)
