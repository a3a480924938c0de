"""What a run ends with: what is printed, and the exit code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from arm_batch.cli import exit_codes
from arm_batch.cli.destination import Destination
from arm_batch.cli.json_output import as_json
from arm_batch.errors import UsageError
from arm_batch.inputs.paths import shown

if TYPE_CHECKING:
    from arm_batch.report import RunSummary

FAILURES_SHOWN = 5

_ALLOWED = re.compile(r"(\d{1,12})|(\d{1,3}(?:\.\d{1,6})?)\s*%")


class Allowance:
    """How many failed images are no failure of the run.

    Args:
        text: a number of images (``5``) or a share of them (``1%``); None for none.

    >>> [Allowance("1%").covers(failed, 300) for failed in (3, 4)]
    [True, False]
    >>> Allowance(None).covers(1, 300)
    False
    """

    def __init__(self, text: str | None) -> None:
        match = _ALLOWED.fullmatch((text or "0").strip())
        if match is None or (match[2] is not None and float(match[2]) > 100):
            raise UsageError(f"--allow-failures {text!r}: write a number of images, or a share of them such as 1%")
        self._images = None if match[1] is None else int(match[1])
        self._share = 0.0 if match[2] is None else float(match[2]) / 100

    def covers(self, failed: int, images: int) -> bool:
        """Whether so many of all images may have failed."""
        return failed <= (self._share * images if self._images is None else self._images)


def end(
    summary: RunSummary, target: Destination, endpoint_url: str | None, allowed: Allowance, json: bool, quiet: bool
) -> None:
    """Print what became of a run, and exit with `FAILED_IMAGES` where more failed than may."""
    file = target.place()
    if json:
        typer.echo(as_json(summary))
    elif not quiet:
        for line in _lines(summary, target, file):
            typer.echo(line)
    if summary.failed:
        _tell_failures(summary, target, endpoint_url, allowed)


def _lines(summary: RunSummary, target: Destination, file: Path | None) -> list[str]:
    """For a person; of one image where it lies, as its folder is gone soon."""
    from arm_batch.cli.summary import describe

    lines = describe(summary)
    if target.file is None:
        return lines
    lines = [line for line in lines if not line.startswith("output ")]
    return lines if file is None else [*lines, f"output     {file}"]


def _tell_failures(summary: RunSummary, target: Destination, endpoint_url: str | None, allowed: Allowance) -> None:
    from arm_batch.runstate.dataset import failures

    fine = allowed.covers(summary.failed, summary.images)
    within = ", no more than --allow-failures" if fine else ""
    typer.echo(f"{summary.failed} of {summary.images} images failed{within}; their rows say why:", err=True)
    for path, reason in failures(target.folder, endpoint_url, FAILURES_SHOWN):
        typer.echo(f"  {shown(path)}: {shown(reason)}", err=True)
    if not fine:
        raise typer.Exit(exit_codes.FAILED_IMAGES)
