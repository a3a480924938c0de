"""The picture of an evaluation."""

from __future__ import annotations

from pathlib import Path

from arm_batch.cli.plot_evaluation import plot_evaluation
from arm_batch.evaluation.evaluate import Quality, SubnetQuality
from arm_batch.evaluation.evaluate_budget import BudgetQuality

SUBNETS = [
    SubnetQuality(name="bicubic", images=5, quality=Quality(24.6, 26.2, 0.70), flops=5e5, paper_flops=0.0),
    SubnetQuality(name="fsrcnn-16", images=5, quality=Quality(25.4, 26.9, 0.74), flops=2.2e7, paper_flops=1.4e8),
]
CURVE = [
    BudgetQuality(
        budget=0.5, images=5, quality=Quality(25.1, 26.6, 0.72), flops=1.4e7, paper_flops=8e7, subnet_tiles=(3, 4)
    )
]


def test_names_and_curve_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    plot_evaluation(path, "my ladder", SUBNETS, CURVE, [])
    text = path.read_text()
    # Matplotlib writes text as paths and keeps it in comments.
    for drawn in ("my ladder", "fsrcnn-16", "bicubic", "budgets"):
        assert f"<!-- {drawn} -->" in text
    assert "<!-- compared -->" not in text
