"""The command line: ``arm-batch COMMAND``; `COMMANDS` says which there are."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from arm_batch.cli import exit_codes
from arm_batch.errors import ArmBatchError, StoppedError, UsageError

_REFUSED: Any = typer.BadParameter.__mro__[1]
"""What typer raises for a command line that makes no sense. The name lies in click, or in typer's copy of it."""

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}

COMMANDS = {
    "plan": "arm_batch.cli.plan:plan_command",
    "upscale": "arm_batch.cli.upscale:upscale",
    "status": "arm_batch.cli.inspect:status_command",
    "verify": "arm_batch.cli.inspect:verify_command",
    "report": "arm_batch.cli.report:report_command",
    "budget": "arm_batch.cli.budget:app",
    "train": "arm_batch.cli.models:train_command",
    "ladder": "arm_batch.cli.ladder:app",
    "build-lut": "arm_batch.cli.models:build_lut_command",
    "evaluate": "arm_batch.cli.evaluate:evaluate_command",
}
"""Module and function of each command, imported when asked for. They import Ray, torch and the like inside the
commands: those take seconds to load, and ``--help`` needs none of them."""


EXAMPLES = {
    "plan": """Examples:

arm-batch plan photos/ --sample 2%

arm-batch plan photos/ --budget 40% --plan-out plan/ --plot curve.png""",
    "upscale": """Examples:

arm-batch upscale photos/ out/ --budget 40%

arm-batch upscale photo.jpg large.jpg

arm-batch upscale s3://bucket/in s3://bucket/out --budget 90min --sink files --format webp

arm-batch upscale photos/ out/ --retry-failed""",
}
"""What stands at the end of a command's ``--help``."""


class _Commands(TyperGroup):
    # Which click typer builds on, its own or the real one, depends on its version: so Any.
    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        found = getattr(importlib.import_module(module), name)
        if not isinstance(found, typer.Typer):
            single = typer.Typer(
                add_completion=False, pretty_exceptions_enable=False, context_settings=HELP_OPTIONS
            )
            single.command(cmd_name, epilog=EXAMPLES.get(cmd_name))(found)
            found = single
        command = get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(
    name="arm-batch",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=HELP_OPTIONS,
)


def _tell_version(asked: bool) -> None:
    if asked:
        try:
            typer.echo(f"arm-batch {version('arm-batch')}")
        except PackageNotFoundError:
            typer.echo("arm-batch, not installed: from a folder of its source")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version and exit.")
    ] = False,
) -> None:
    """Upscale image archives within an exact compute budget (ARM, ECCV 2022, on Ray)."""
    del version


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 crash, 2 wrong usage, 3 some images failed, 4 undone."""
    try:
        sys.exit(app(arguments, prog_name="arm-batch", standalone_mode=False))
    except _REFUSED as error:
        if not error.format_message():
            # No arguments at all: the help is shown.
            error.show()
            sys.exit(exit_codes.USAGE)
        command = error.ctx.command_path if error.ctx else "arm-batch"
        told = error.format_message().rstrip(".").replace(": Value error, ", ": ")
        _fail(UsageError(f"{told[:1].lower()}{told[1:]}; see `{command} --help`"), exit_codes.USAGE)
    except typer.Abort:
        sys.exit(exit_codes.CRASH)
    except UsageError as error:
        _fail(error, exit_codes.USAGE)
    except StoppedError as error:
        _fail(error, exit_codes.UNDONE)
    except ArmBatchError as error:
        _fail(error, exit_codes.CRASH)


def _fail(error: ArmBatchError, code: int) -> None:
    typer.echo(f"arm-batch: {error}", err=True)
    sys.exit(code)
