"""Drawing an evaluation: quality over executed FLOPs. `check_plot` says beforehand whether it can be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arm_batch.evaluation.evaluate import SubnetQuality
    from arm_batch.evaluation.evaluate_budget import BudgetQuality


def plot_evaluation(
    path: Path,
    title: str,
    subnets: Sequence[SubnetQuality],
    curve: Sequence[BudgetQuality],
    against: Sequence[SubnetQuality],
) -> None:
    """Draw fixed subnets as points and budgets as a line, Y PSNR over FLOPs.

    Args:
        path: to write, one that `check_plot` has let pass.
        title: of the picture.
        subnets: of the subject.
        curve: of the subject, may be empty.
        against: of other weights, may be empty.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for rows, marker, label in ((subnets, "o", "subnets"), (against, "x", "compared")):
        if rows:
            flops = [row.flops / 1e6 for row in rows]
            axes.plot(flops, [row.quality.psnr_y_db for row in rows], marker, label=label)
        for row in rows:
            axes.annotate(row.name, (row.flops / 1e6, row.quality.psnr_y_db), fontsize="x-small")
    if curve:
        budgets = sorted(curve, key=lambda row: row.flops)
        axes.plot([b.flops / 1e6 for b in budgets], [b.quality.psnr_y_db for b in budgets], ".-", label="budgets")
    axes.set(title=title, xscale="log", xlabel="executed MFLOP for 32x32 LR px", ylabel="PSNR (Y), dB")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)
