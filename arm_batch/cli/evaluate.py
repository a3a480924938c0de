"""``arm-batch evaluate``: what ladders and weights reach, as a table, JSON and a plot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from arm_batch.cli.options import parse_weights
from arm_batch.cli.plot import check_plot
from arm_batch.cli.plot_evaluation import plot_evaluation
from arm_batch.errors import UsageError

if TYPE_CHECKING:
    from arm_batch.evaluation.evaluate import Quality, SubnetQuality
    from arm_batch.evaluation.evaluate_budget import BudgetQuality
    from arm_batch.evaluation.evaluate_degraded import DegradedQuality
    from arm_batch.models.backbones.registry import Backbone
    from arm_batch.models.backbones.slimmable import Supernet
    from arm_batch.models.ladder_files import LadderFiles

Protocol = Literal["whole", "paper"]

BUDGETS = "5,10,20,30,50,75,100"


def evaluate_command(
    subject: Annotated[str, typer.Argument(help="Shipped ladder, ladder folder or, with --backbone, weights.")],
    data: Annotated[Path, typer.Option(help="Folder with HR/ and LRx<scale>/ of the same names.")],
    protocol: Annotated[
        Protocol, typer.Option(help="Measure whole images, or patches as the published code does.")
    ] = "whole",
    lut: Annotated[Path | None, typer.Option(help="Published table (JSON), for --protocol paper.")] = None,
    backbone: Annotated[str, typer.Option(help="Family of networks, for weights given by file.")] = "fsrcnn",
    scale: Annotated[int, typer.Option(help="Upscaling factor, for weights given by file.")] = 4,
    against: Annotated[
        list[str] | None, typer.Option(help="BACKBONE=WEIGHTS to measure beside it. Repeatable.")
    ] = None,
    budgets: Annotated[str, typer.Option(help="Shares of a ladder's largest subnet, in per cent.")] = BUDGETS,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures into this file.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw quality over FLOPs into this file (.png, .svg, .pdf).")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Measure at most N images, the first.")] = None,
    degrade: Annotated[
        str | None,
        typer.Option(
            metavar="KINDS", help="Gains over bicubic on inputs made from HR/: all, or kinds such as clean,jpeg75."
        ),
    ] = None,
) -> None:
    """Measure every subnet and the whole budget curve, what flaws of inputs cost, or the published protocol."""
    # Torch takes seconds to load, and --help does not need it.
    from arm_batch.evaluation.evaluate_budget import evaluate_budgets
    from arm_batch.evaluation.evaluate_degraded import evaluate_degraded
    from arm_batch.models.ladder_files import load_ladder

    if protocol == "paper":
        _print_paper(Path(subject), lut, data, limit)
        return
    if degrade is not None:
        nets = _load_nets(subject, backbone, scale)
        _tell_degraded(evaluate_degraded(nets, data, _parse_kinds(degrade), limit), json_file)
        return
    if plot is not None:
        check_plot(plot)
    shares = _parse_budgets(budgets)
    compared = [parse_weights(text) for text in against or []]
    files = None if Path(subject).is_file() else load_ladder(subject)
    supernets = _load_nets(subject, backbone, scale) if files is None else _supernets(files)
    subnets = _evaluated(supernets, data, limit)
    published = _published(compared, scale if files is None else files.ladder.scale, data, limit)
    curve = [] if files is None else evaluate_budgets(files, data, shares, limit)
    _tell(_table(subnets, curve, published), json_file, _document(subject, data, subnets, curve, published))
    if plot is not None:
        plot_evaluation(plot, subject, subnets, curve, published)


def _evaluated(
    nets: Iterable[tuple[Supernet, tuple[int, ...]]], data: Path, limit: int | None
) -> list[SubnetQuality]:
    """Interpolation and all subnets, each once."""
    from arm_batch.evaluation.evaluate import evaluate

    rows = [row for supernet, widths in nets for row in evaluate(supernet, data, widths, limit)]
    return list({row.name: row for row in rows}.values())


def _published(
    weights: Iterable[tuple[Backbone, Path]], scale: int, data: Path, limit: int | None
) -> list[SubnetQuality]:
    """All subnets of other weights, without interpolation."""
    from arm_batch.evaluation.evaluate import evaluate
    from arm_batch.models.checkpoint import load_supernet

    others = [load_supernet(path, family, scale) for family, path in weights]
    return [row for other in others for row in evaluate(other, data, limit=limit)[1:]]


def _tell(lines: Iterable[str], json_file: Path | None, document: str) -> None:
    for line in lines:
        typer.echo(line)
    if json_file is not None:
        json_file.write_text(document)


def _parse_budgets(text: str) -> list[float]:
    try:
        shares = [float(part) / 100 for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--budgets {text!r}: write per cent with commas, such as {BUDGETS}") from None
    if not all(0 < share <= 1 for share in shares):
        raise UsageError(f"--budgets {text!r}: each must be more than 0 and at most 100")
    return shares


def _parse_kinds(text: str) -> list[str]:
    from arm_batch.evaluation.evaluate_degraded import KINDS

    kinds = list(KINDS) if text == "all" else text.split(",")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise UsageError(f"--degrade {text!r}: {unknown[0]!r} is not one of {', '.join(KINDS)} or all")
    return kinds


def _load_nets(subject: str, backbone: str, scale: int) -> list[tuple[Supernet, tuple[int, ...]]]:
    """The supernets of a ladder or of a file of weights, and the widths to measure of each."""
    from arm_batch.models.backbones.registry import get_backbone
    from arm_batch.models.checkpoint import load_supernet
    from arm_batch.models.ladder_files import load_ladder

    if Path(subject).is_file():
        family = get_backbone(backbone)
        return [(load_supernet(Path(subject), family, scale), family.widths)]
    return list(_supernets(load_ladder(subject)))


def _tell_degraded(rows: list[DegradedQuality], json_file: Path | None) -> None:
    _tell(_degraded_table(rows), json_file, json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def _degraded_table(rows: list[DegradedQuality]) -> Iterator[str]:
    from arm_batch.evaluation.evaluate_degraded import WORSE_DB

    yield f"{'inputs':<12} {'subnet':<14} {'images':>6} {'bicubic':>8} {'gain':>7} {'worse':>6}"
    for row in rows:
        figures = f"{row.interpolated_y_db:8.3f} {row.gain_y_db:+7.3f} {row.worse:6.1%}"
        yield f"{row.kind:<12} {row.name:<14} {row.images:>6} {figures}"
    yield f"Y dB, means over images; worse: share of those that lose more than {WORSE_DB} dB to bicubic."


def _supernets(files: LadderFiles) -> Iterator[tuple[Supernet, tuple[int, ...]]]:
    """Each supernet of a ladder with the widths that the ladder uses."""
    from arm_batch.models.rungs.subnet import SubnetRung

    used = [net for net in files.nets if isinstance(net, SubnetRung)]
    for supernet in {id(net.supernet): net.supernet for net in used}.values():
        yield supernet, tuple(net.width for net in used if net.supernet is supernet)


def _table(
    subnets: list[SubnetQuality], curve: list[BudgetQuality], published: list[SubnetQuality]
) -> Iterator[str]:
    yield f"{'':<14} {'images':>6} {'Y dB':>8} {'RGB dB':>8} {'SSIM':>7} {'MFLOP':>8} {'paper':>8}"
    for row in subnets:
        yield _line(row.name, row.images, row.quality, row.flops, row.paper_flops)
    for budget in curve:
        name = f"budget {100 * budget.budget:g}%"
        yield _line(name, budget.images, budget.quality, budget.flops, budget.paper_flops)
    for row in published:
        yield _line(f"({row.name})", row.images, row.quality, row.flops, row.paper_flops)
    yield "MFLOP for 32x32 LR px: executed, and as the paper counts. Budgets include halos and filled-up tiles."
    if published:
        yield "(In brackets: the weights given by --against.)"


def _line(name: str, images: int, quality: Quality, flops: float, paper_flops: float) -> str:
    measures = f"{quality.psnr_y_db:8.3f} {quality.psnr_rgb_db:8.3f} {quality.ssim_y:7.4f}"
    return f"{name:<14} {images:>6} {measures} {flops / 1e6:8.1f} {paper_flops / 1e6:8.1f}"


def _document(
    subject: str,
    data: Path,
    subnets: list[SubnetQuality],
    curve: list[BudgetQuality],
    published: list[SubnetQuality],
) -> str:
    document = {
        "subject": subject,
        "data": str(data),
        "flops_of": "32x32 LR px",
        "subnets": [asdict(row) for row in subnets],
        "budgets": [asdict(row) for row in curve],
        "against": [asdict(row) for row in published],
    }
    return json.dumps(document, indent=1) + "\n"


def _print_paper(weights: Path, lut: Path | None, data: Path, limit: int | None) -> None:
    from arm_batch.evaluation.paper import MEAN, evaluate_paper

    if lut is None:
        raise UsageError("--protocol paper needs the published table: --lut lut_fsrcnn.json")
    for result in evaluate_paper(weights, lut, data, limit):
        if result.image == MEAN:
            share = f"{result.flops_percent:7.2f} % of the FLOPs (paper)"
            typer.echo(f"{result.policy:<12} {result.psnr_rgb_db:8.4f} dB (RGB) {share}")
