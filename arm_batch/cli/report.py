"""``arm-batch report``: one page that tells of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arm_batch.cli.options import EndpointUrlOption
from arm_batch.errors import UsageError

PAGE_KEY = "report.html"


def report_command(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="Folder or s3:// prefix of a run.")],
    html: Annotated[
        Path | None,
        typer.Option(help=f"File to write. Default: {PAGE_KEY} in OUTPUT.", show_default=False),
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="Path of the image to show, as in its row. Default: one with many rungs.")
    ] = None,
    ladder: Annotated[
        str | None, typer.Option("--ladder", "-l", help="Folder of the run's ladder, where it is no shipped one.")
    ] = None,
    endpoint_url: EndpointUrlOption = None,
) -> None:
    """Write one self-contained HTML page: what ran, where, how long, what the budget bought, what failed.

    It reads OUTPUT, and for one picture INPUT; it may run while the job does.
    """
    from arm_batch.report_page.page import check_extra

    check_extra()
    if html is not None and not html.parent.is_dir():
        raise UsageError(f"--html {html}: there is no folder {html.parent}")
    # What follows loads torch.
    from arm_batch.report_page.facts import read_facts
    from arm_batch.report_page.page import render_page
    from arm_batch.report_page.sample import take_sample
    from arm_batch.runstate.dataset import open_dataset
    from arm_batch.storage.open import open_store

    store, rows = open_store(output, endpoint_url), open_dataset(output, endpoint_url=endpoint_url)
    facts = read_facts(store, rows, ladder)
    page = render_page(facts, take_sample(store, rows, facts, image, endpoint_url)).encode()
    if html is None:
        store.write(PAGE_KEY, page)
    else:
        html.write_bytes(page)
    typer.echo(f"{store.url}/{PAGE_KEY}" if html is None else str(html))
