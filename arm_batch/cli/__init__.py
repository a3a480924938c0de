"""The command line: ``arm-batch plan | upscale | status | verify | budget | train | build-lut | evaluate``."""

from __future__ import annotations

import sys

import typer

from arm_batch.cli import budget, exit_codes
from arm_batch.cli.evaluate import evaluate_command
from arm_batch.cli.inspect import status_command, verify_command
from arm_batch.cli.models import build_lut_command, train_command
from arm_batch.cli.plan import plan_command
from arm_batch.cli.upscale import upscale
from arm_batch.errors import ArmBatchError, StoppedError, UsageError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Upscale image archives within an exact compute budget (ARM, ECCV 2022, on Ray).",
)
app.command("plan")(plan_command)
app.command("upscale")(upscale)
app.command("status")(status_command)
app.command("verify")(verify_command)
app.add_typer(budget.app, name="budget")
app.command("train")(train_command)
app.command("build-lut")(build_lut_command)
app.command("evaluate")(evaluate_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 crash, 2 wrong usage, 3 some images failed, 4 undone."""
    try:
        app(arguments)
    except UsageError as error:
        _fail(error, exit_codes.USAGE)
    except StoppedError as error:
        _fail(error, exit_codes.UNDONE)
    except ArmBatchError as error:
        _fail(error, exit_codes.CRASH)


def _fail(error: ArmBatchError, code: int) -> None:
    typer.echo(f"arm-batch: {error}", err=True)
    sys.exit(code)
