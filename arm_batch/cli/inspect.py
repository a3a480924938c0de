"""``arm-batch status | verify``: what an output holds, from the store alone."""

from __future__ import annotations

from typing import Annotated

import typer

from arm_batch.cli import exit_codes
from arm_batch.errors import OutputError
from arm_batch.report import human_flops
from arm_batch.runstate.generation import Generation, list_generations
from arm_batch.runstate.status import GenerationProgress, read_progress
from arm_batch.runstate.verify import verify_store
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.open import open_store

PROBLEMS_SHOWN = 50

Output = Annotated[str, typer.Argument(metavar="OUTPUT", help="Folder or s3:// prefix of a run.")]
Endpoint = Annotated[str | None, typer.Option(help="S3 service other than AWS.")]


def status_command(output: Output, endpoint_url: Endpoint = None) -> None:
    """Tell what is done, failed and left, while the job runs or after. Exit code 4: something is left."""
    store, generations = _open(output, endpoint_url)
    rows = read_progress(store, generations)
    for row in rows:
        for line in _describe(row):
            typer.echo(line)
    if any(row.left for row in rows):
        raise typer.Exit(exit_codes.UNDONE)


def verify_command(output: Output, endpoint_url: Endpoint = None) -> None:
    """Read back every plan, record, part and image. Exit code 0: all is there and whole; 4: it is not."""
    store, generations = _open(output, endpoint_url)
    found = verify_store(store, generations)
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


def _open(output: str, endpoint_url: str | None) -> tuple[ObjectStore, list[Generation]]:
    store = open_store(output, endpoint_url)
    generations = list_generations(store)
    if not generations:
        raise OutputError(f"{store.url} holds no arm_batch run")
    if generations[0].kind == "plan":
        raise OutputError(f"{store.url} holds a plan and no run; `arm-batch plan` with that --plan-out reads it")
    return store, generations


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
