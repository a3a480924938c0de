"""``arm-batch budget create | show | add | close | release``: FLOPs that several jobs draw from."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from arm_batch.cli.json_output import as_json
from arm_batch.cli.options import JsonOption
from arm_batch.core.allocation.budget import POOL, human_flops, parse_budget
from arm_batch.errors import BudgetError, OutputError

if TYPE_CHECKING:
    from arm_batch.budget.quota import SharedQuota
    from arm_batch.core.quota.state import QuotaState
    from arm_batch.storage.base import ObjectStore

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Manage pools of FLOPs that several jobs share.",
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the pool.")]
Amount = Annotated[str, typer.Argument(metavar="FLOPS", help="Amount of FLOPs, such as 5PFLOP.")]
Store = Annotated[str, typer.Option(help="Folder or s3:// prefix of the pools, the same for all jobs.")]
Endpoint = Annotated[str | None, typer.Option(help="URL of an S3-compatible service other than AWS.")]


@app.command("create")
def create_command(name: Name, flops: Amount, store: Store, endpoint_url: Endpoint = None) -> None:
    """Create a pool of FLOPs. It tells what --budget has to be for jobs that draw from it."""
    from arm_batch.budget.quota_journal import QuotaJournal
    from arm_batch.storage.base import honours_create

    if not _NAME.fullmatch(name):
        raise BudgetError(f"{name!r} cannot name a pool: use letters, digits, '.', '_' and '-'")
    amount = _flops(flops)
    root = _root(store, name, endpoint_url)
    if not honours_create(root, uuid.uuid4().hex):
        raise OutputError(
            f"{root.url}: this store ignores If-None-Match, so that jobs could overspend a pool in it"
        )
    QuotaJournal(root).create(name, amount)
    typer.echo(f"use it with --budget {POOL}{root.url}")


@app.command("show")
def show_command(name: Name, store: Store, endpoint_url: Endpoint = None, json: JsonOption = False) -> None:
    """Show what a pool has granted, and what its jobs have spent."""
    state = _pool(store, name, endpoint_url).state()
    if json:
        typer.echo(as_json(_figures(state)))
        return
    for line in _describe(state):
        typer.echo(line)


@app.command("add")
def add_command(name: Name, flops: Amount, store: Store, endpoint_url: Endpoint = None) -> None:
    """Add FLOPs to a pool. Jobs get their part for what they have not begun."""
    state = _pool(store, name, endpoint_url).add(uuid.uuid4().hex, _flops(flops))
    typer.echo(f"{name} holds {human_flops(state.total)}")


@app.command("close")
def close_command(name: Name, store: Store, endpoint_url: Endpoint = None) -> None:
    """Close a pool to further jobs. Those that are there go on."""
    _pool(store, name, endpoint_url).close()
    typer.echo(f"{name} is closed")


@app.command("release")
def release_command(
    name: Name,
    job: Annotated[str, typer.Argument(metavar="JOB", help="Name of the job, as `budget show` tells it.")],
    store: Store,
    endpoint_url: Endpoint = None,
) -> None:
    """Take back what an abandoned job holds and has not begun. If it starts again, it asks the pool anew."""
    pool = _pool(store, name, endpoint_url)
    before = pool.state().claim(job)
    pool.leave(job)
    free = before.grant - pool.state().claim(job).grant
    typer.echo(f"{human_flops(free)} of {job} go back to {name}")


def _pool(store: str, name: str, endpoint_url: str | None) -> SharedQuota:
    from arm_batch.budget.quota import SharedQuota

    return SharedQuota(_root(store, name, endpoint_url))


def _root(store: str, name: str, endpoint_url: str | None) -> ObjectStore:
    from arm_batch.storage.open import open_store

    return open_store(f"{store.rstrip('/')}/{name}", endpoint_url)


def _flops(text: str) -> int:
    budget = parse_budget(text)
    if budget.kind != "flops" or budget.amount < 1:
        raise BudgetError(f"a pool holds FLOPs, such as 5PFLOP, and not {text}")
    return int(budget.amount)


def _figures(state: QuotaState) -> dict[str, object]:
    """All in FLOPs."""
    jobs = {
        name: {
            "active": claim.active,
            "granted": claim.grant,
            "spent": claim.spent,
            "under_way": claim.fixed - claim.spent,
        }
        for name, claim in state.jobs.items()
    }
    return {
        "name": state.name,
        "closed": state.closed,
        "total": state.total,
        "granted": state.granted,
        "spent": state.spent,
        "under_way": state.fixed - state.spent,
        "jobs": jobs,
    }


def _describe(state: QuotaState) -> list[str]:
    lines = [
        f"{state.name}: {human_flops(state.total)}" + (", closed" if state.closed else ""),
        f"  spent      {human_flops(state.spent)}",
        f"  under way  {human_flops(state.fixed - state.spent)}",
        f"  granted    {human_flops(state.granted)}",
    ]
    for job, claim in state.jobs.items():
        under_way = claim.fixed - claim.spent
        told = f"granted {human_flops(claim.grant)}" if claim.active else "released" if under_way else "done"
        begun = f", under way {human_flops(under_way)}" if under_way else ""
        lines.append(f"  job {job}: {told}, spent {human_flops(claim.spent)}{begun}")
    return lines
