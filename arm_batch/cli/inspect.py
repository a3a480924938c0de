"""``arm-batch status | verify``: what an output holds, from the store alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from arm_batch.cli import exit_codes
from arm_batch.core.allocation.budget import human_flops

if TYPE_CHECKING:
    from arm_batch.runstate.status import GenerationProgress

PROBLEMS_SHOWN = 50

Output = Annotated[str, typer.Argument(metavar="OUTPUT", help="Folder or s3:// prefix of a run.")]
Endpoint = Annotated[str | None, typer.Option(help="URL of an S3-compatible service other than AWS.")]


def status_command(output: Output, endpoint_url: Endpoint = None) -> None:
    """Show what is done, failed and left, while the job runs or after it. Exit code 4: something is left."""
    from arm_batch.api import outputs

    rows = outputs.status(output, endpoint_url=endpoint_url)
    for row in rows:
        for line in _describe(row):
            typer.echo(line)
    if any(row.left for row in rows):
        raise typer.Exit(exit_codes.UNDONE)


def verify_command(output: Output, endpoint_url: Endpoint = None) -> None:
    """Read every plan, record, part and image back. Exit code 4: something is missing or damaged."""
    from arm_batch.api import outputs

    found = outputs.verify(output, endpoint_url=endpoint_url)
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


def _describe(row: GenerationProgress) -> list[str]:
    generation = row.generation
    budget = "(not allocated yet)" if row.budget_flops is None else f"of {human_flops(row.budget_flops)}"
    return [
        f"{generation.name} {generation.kind}: {generation.images:,} images in {generation.shards:,} shards",
        f"  planned  {row.planned:,} shards",
        f"  done     {row.done:,} images",
        f"  failed   {row.failed:,} images" + (f", {row.retried:,} more tried again" if row.retried else ""),
        f"  left     {row.left:,} shards",
        f"  spent    {human_flops(row.spent_flops)} {budget}",
    ]
