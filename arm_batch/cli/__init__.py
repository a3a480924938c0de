"""The command line: ``arm-batch upscale | train | build-lut | evaluate``."""

from __future__ import annotations

import sys

import typer

from arm_batch.cli.evaluate import evaluate_command
from arm_batch.cli.models import build_lut_command, train_command
from arm_batch.cli.upscale import upscale
from arm_batch.errors import ArmBatchError, UsageError

EXIT_CRASH = 1
EXIT_USAGE = 2

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Upscale image archives within an exact compute budget (ARM, ECCV 2022, on Ray).",
)
app.command("upscale")(upscale)
app.command("train")(train_command)
app.command("build-lut")(build_lut_command)
app.command("evaluate")(evaluate_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 crash, 2 wrong usage, 3 some images failed."""
    try:
        app(arguments)
    except UsageError as error:
        _fail(error, EXIT_USAGE)
    except ArmBatchError as error:
        _fail(error, EXIT_CRASH)


def _fail(error: ArmBatchError, code: int) -> None:
    typer.echo(f"arm-batch: {error}", err=True)
    sys.exit(code)
