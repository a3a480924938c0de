"""Options of `upscale` that say where results go and how the command ends; no other command has them."""

from __future__ import annotations

from typing import Annotated

import typer

from arm_batch.cli.options import OUTPUT, TERMINAL

OutputArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[OUTPUT]",
        help="Folder or s3:// prefix for results: new, or of this same run. For one image a file name, too.",
        show_default=False,
    ),
]

OutputOption = Annotated[
    str | None,
    typer.Option("--output", "-o", help="The same as OUTPUT.", show_default=False, rich_help_panel=OUTPUT),
]

AllowFailuresOption = Annotated[
    str | None,
    typer.Option(
        help="End with exit code 0 where no more images failed: 5, or 1% of them.",
        show_default=False,
        rich_help_panel=TERMINAL,
    ),
]

DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Predict what each budget would buy, as `arm-batch plan`.", rich_help_panel=TERMINAL
    ),
]
