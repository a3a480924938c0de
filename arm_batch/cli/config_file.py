"""Options from a file: ``--config run.toml``, with the names that they have on the command line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from arm_batch.cli.options import TERMINAL
from arm_batch.errors import UsageError


def _load(context: typer.Context, path: Path | None) -> Path | None:
    """Make what the file says the defaults of this command; the command line goes first."""
    if path is not None:
        context.default_map = {**(context.default_map or {}), **read_config(path, context.command.params)}
    return path


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        callback=_load,
        is_eager=True,
        metavar="FILE",
        help="TOML file with options by their names; the command line goes first.",
        rich_help_panel=TERMINAL,
        show_default=False,
    ),
]


def read_config(path: Path, parameters: list[Any]) -> dict[str, Any]:
    """Values by parameter.

    Args:
        path: of a TOML file: ``budget = "40%"``, ``include = ["*.jpg"]``, ``dedup = true``, ``input = "photos"``.
        parameters: of the command, as click has them.

    Raises:
        UsageError: it cannot be read, or names what is no option; one line.
    """
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        told = getattr(error, "strerror", None) or error
        raise UsageError(f"--config {path}: {told}") from error
    known = {name: parameter for parameter in parameters for name in _names(parameter)}
    values: dict[str, Any] = {}
    for name, value in found.items():
        parameter = known.get(name.replace("_", "-"))
        if parameter is None or parameter.name == "config":
            raise UsageError(f"--config {path}: there is no option {name!r}; see --help")
        if isinstance(value, dict):
            raise UsageError(f"--config {path}: {name} is a table; write options without any")
        several = getattr(parameter, "multiple", False)
        values[parameter.name] = [value] if several and not isinstance(value, list) else value
    return values


def _names(parameter: Any) -> list[str]:
    """As they are written without their dashes; of an argument its own name in place of that of an option."""
    if parameter.param_type_name == "argument":
        return [str(parameter.name)]
    return [option.removeprefix("--") for option in parameter.opts if option.startswith("--")]
