"""``arm-batch ladder inspect | build``: models of the user's, and ladders under them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from arm_batch.cli.options import parse_photographs
from arm_batch.core.allocation.budget import human_flops
from arm_batch.core.tiling.limits import MAX_HALO, MAX_TILE
from arm_batch.errors import UsageError

if TYPE_CHECKING:
    from arm_batch.evaluation.build_over_top import BuiltOverTop, Wanted
    from arm_batch.models.rungs.inspection import ModelFacts

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Look at models of your own, and make ladders of them.",
)

AllowPickle = Annotated[
    bool,
    typer.Option(
        "--allow-pickle-weights",
        help="Read .pth files, too, by a loader that takes nothing but tensors. Convert them where you can.",
    ),
]


@app.command("inspect")
def inspect_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model: .safetensors, .onnx or .pth.")],
    allow_pickle_weights: AllowPickle = False,
) -> None:
    """Tell what a model is and costs, by running it on small pictures. Exit code 2: it cannot be a rung."""
    # Torch takes seconds to load, and --help does not need it.
    from arm_batch.models.rungs.files import read_model
    from arm_batch.models.rungs.inspection import inspect_model

    for line in _facts(inspect_model(read_model(file, allow_pickle_weights))):
        typer.echo(line)


def _facts(facts: ModelFacts) -> list[str]:
    model = facts.source.model
    sides = f"of {facts.fixed} px alone" if facts.fixed else f"from {max(1, facts.minimum)} px"
    if facts.multiple > 1:
        sides += f", multiples of {facts.multiple}"
    return [
        f"name          {facts.source.name}",
        f"kind          {model.kind}",
        f"architecture  {facts.architecture}",
        f"licence       {facts.licence or 'not stated'}",
        f"sha256        {facts.source.sha256}",
        f"scale         x{facts.scale}",
        f"channels      {facts.channels}",
        f"values        0 to {model.peak}",
        f"sides         {sides}",
        f"half          {'yes' if facts.half else 'no'}",
        f"sees          {facts.reach} px: so far a changed pixel reaches at half a grey level",
        f"tile          {facts.tile} px with a halo of {facts.halo}: windows of {facts.window} px",
        f"FLOPs         {human_flops(facts.flops)} for a window",
        f"seconds       {facts.seconds:.2f} for a window on this CPU",
    ]


@app.command("build")
def build_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the ladder to make.")],
    top: Annotated[Path, typer.Option(metavar="FILE", help="The model that all is measured by.")],
    calibrate: Annotated[
        str,
        typer.Option(
            metavar="FOLDER[:REDUCTIONS]",
            help="Pictures such as the ladder is for, best the archive itself; REDUCTIONS of originals: 2,4.",
        ),
    ],
    rung: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FILE",
            help="What may stand between interpolation and the top: subnets of shipped ladders (plain, deep-24) "
            "or models. Repeatable.",
        ),
    ] = None,
    reference: Annotated[
        Literal["top", "originals"],
        typer.Option(help="Measure by the top's output, or by originals that the pictures are reduced from."),
    ] = "top",
    pictures: Annotated[int, typer.Option(min=1, help="Number of pictures that are looked at.")] = 100,
    tile: Annotated[
        int | None, typer.Option(min=8, max=MAX_TILE, help="Side of a tile, LR px. Default: what suits the top.")
    ] = None,
    halo: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_HALO, help="Halo that the top needs, LR px. Default: measured."),
    ] = None,
    score: Annotated[
        str | None, typer.Option(help="Score, as for `build-lut`. Default: gain; with originals gain,level.")
    ] = None,
    allow_pickle_weights: AllowPickle = False,
) -> None:
    """Make a ladder under a model of yours, measured on your own pictures, for `upscale --ladder`.

    No originals are needed: a rung's error is its distance from the top's output.
    """
    from arm_batch.evaluation.build_over_top import build_over_top
    from arm_batch.evaluation.calibrate import DEFAULT_REDUCTIONS, score_names

    if tile is not None and tile % 8:
        raise UsageError(f"--tile {tile}: scores need a multiple of 8")
    started = time.monotonic()
    wanted = _wanted(top, rung or [], tile, halo, allow_pickle_weights)
    built = build_over_top(
        folder,
        wanted,
        parse_photographs(calibrate, DEFAULT_REDUCTIONS),
        pictures=pictures,
        reference=reference,
        scores=None if score is None else score_names(score),
    )
    closeness = "closeness to it" if reference == "top" else "PSNR"
    for line in _built(folder, built, wanted.top.source.name, closeness):
        typer.echo(line)
    typer.echo(f"calibrated in {time.monotonic() - started:,.0f} s, {human_flops(built.flops)} executed")


def _wanted(top: Path, rungs: Sequence[str], tile: int | None, halo: int | None, pickles: bool) -> Wanted:
    from arm_batch.evaluation.build_over_top import Wanted
    from arm_batch.models.rungs.files import read_model
    from arm_batch.models.rungs.inspection import inspect_model
    from arm_batch.models.shipped import shipped_subnets

    facts = inspect_model(read_model(top, pickles), tile=tile)
    files = [text for text in rungs if Path(text).suffix or Path(text).is_file()]
    return Wanted(
        top=facts,
        models=tuple(inspect_model(read_model(Path(text), pickles), tile=facts.tile) for text in files),
        shipped=tuple(shipped_subnets(text, facts.scale) for text in rungs if text not in files),
        tile=tile,
        halo=halo,
    )


def _built(folder: Path, built: BuiltOverTop, top: str, closeness: str) -> list[str]:
    rungs = [f"{name} {db:.2f} dB" for name, db in zip(built.subnets, built.closeness_db, strict=True)]
    if closeness != "PSNR":
        # Of itself there is nothing to tell.
        rungs[-1] = top
    lines = [
        f"{folder}: {', '.join(built.subnets)}; tiles of {built.grid.tile} px with a halo of {built.grid.halo}",
        f"{closeness} everywhere: {', '.join(rungs)}",
        f"from {built.tiles:,} tiles of {built.pictures:,} pictures",
    ]
    if built.dropped:
        lines.append(f"left out, as no budget would buy it: {', '.join(built.dropped)}")
    return lines
