"""``arm-batch status | verify``: what an output holds, from the store alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from arm_batch.cli import exit_codes
from arm_batch.cli.json_output import as_json
from arm_batch.cli.options import JsonOption
from arm_batch.cli.status import status_lines

if TYPE_CHECKING:
    from arm_batch.core.attempts import Attempt
    from arm_batch.runstate.status import GenerationProgress

PROBLEMS_SHOWN = 50

WATCH_EVERY_S = 5.0
"""Each time the records that are new are listed and all are read."""

Output = Annotated[str, typer.Argument(metavar="OUTPUT", help="Folder or s3:// prefix of a run.")]
Endpoint = Annotated[str | None, typer.Option(help="URL of an S3-compatible service other than AWS.")]


def status_command(
    output: Output,
    endpoint_url: Endpoint = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it every 5 s until nothing is left.")] = False,
    json: JsonOption = False,
) -> None:
    """Show what is done, failed and left, how fast and until when. Exit code 4: something is left.

    It reads OUTPUT alone, so it may run anywhere, while the job runs or after it.
    """
    while True:
        rows, attempts = _look(output, endpoint_url)
        if watch:
            Console().clear()
        if json:
            typer.echo(as_json({"generations": rows, "attempts": attempts}))
        else:
            for line in status_lines(rows, attempts):
                typer.echo(line)
        left = any(row.left for row in rows)
        if not (watch and left):
            break
        time.sleep(WATCH_EVERY_S)
    if left:
        raise typer.Exit(exit_codes.UNDONE)


def verify_command(output: Output, endpoint_url: Endpoint = None, json: JsonOption = False) -> None:
    """Read every plan, record, part and image back. Exit code 4: something is missing or damaged."""
    from arm_batch.api import outputs

    found = outputs.verify(output, endpoint_url=endpoint_url)
    if json:
        typer.echo(as_json(found))
    else:
        for problem in found.problems[:PROBLEMS_SHOWN]:
            typer.echo(str(problem))
        if len(found.problems) > PROBLEMS_SHOWN:
            typer.echo(f"... and {len(found.problems) - PROBLEMS_SHOWN:,} more")
        typer.echo(
            f"{found.images:,} images, {found.failed:,} of them failed; {found.left:,} shards left; "
            f"{len(found.problems):,} problems"
        )
    if any(problem.repair in ("again", "plan again") for problem in found.problems):
        typer.echo("`arm-batch upscale ... --repair` does again what is damaged", err=True)
    if found.problems or found.left:
        raise typer.Exit(exit_codes.UNDONE)


def _look(output: str, endpoint_url: str | None) -> tuple[list[GenerationProgress], list[Attempt]]:
    from arm_batch.api import outputs

    rows = outputs.status(output, endpoint_url=endpoint_url)
    return rows, outputs.attempts(output, endpoint_url=endpoint_url)
