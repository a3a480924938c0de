"""Evaluation of a ladder along its budgets."""

from pathlib import Path

import numpy as np
import pytest

from arm_batch.core.tiling.interpolation import bicubic
from arm_batch.errors import BudgetError
from arm_batch.evaluation.evaluate import measure
from arm_batch.evaluation.evaluate_budget import evaluate_budgets
from arm_batch.models.ladder_files import LadderFiles, load_ladder
from tests.archives import LADDER, draw, write_png


@pytest.fixture(scope="module")
def ladder() -> LadderFiles:
    return load_ladder(LADDER)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for seed, (height, width) in enumerate([(40, 64), (64, 33)]):
        write_png(tmp_path / "LRx4" / f"{seed}.png", draw(seed, height, width))
        write_png(tmp_path / "HR" / f"{seed}.png", draw(seed, 4 * height, 4 * width))
    return tmp_path


def test_budgets_are_kept_and_buy_costlier_subnets(ladder: LadderFiles, data: Path) -> None:
    rows = evaluate_budgets(ladder, data, [0.02, 0.4, 1.0])
    n_tiles, area = 8, 40 * 64 + 64 * 33
    costs = ladder.ladder.costs
    for row in rows:
        assert sum(row.subnet_tiles) == n_tiles
        spent = np.array(row.subnet_tiles) @ costs
        assert spent <= row.budget * n_tiles * costs[-1]
        assert row.flops == pytest.approx(spent * 1024 / area)
        assert row.paper_flops >= 0
        assert row.images == 2
    assert rows[0].subnet_tiles[0] == n_tiles
    assert [rows[i].flops < rows[i + 1].flops for i in (0, 1)] == [True, True]


def test_without_budget_for_networks_the_images_are_interpolated(ladder: LadderFiles, data: Path) -> None:
    (row,) = evaluate_budgets(ladder, data, [0.02], limit=1)
    lr = draw(0, 40, 64)
    # Two pixels beside a tile are as far as interpolation looks.
    assert ladder.ladder.grid.halo >= 2
    sr = bicubic(lr[None], 4)[0]
    expected = measure(sr, draw(0, 160, 256), 4, "0.png")
    assert row.quality.psnr_rgb_db == pytest.approx(expected.psnr_rgb_db, abs=1e-6)
    assert row.quality.ssim_y == pytest.approx(expected.ssim_y, abs=1e-6)


def test_budgets_below_interpolation_are_refused(ladder: LadderFiles, data: Path) -> None:
    with pytest.raises(BudgetError, match="interpolation alone needs"):
        evaluate_budgets(ladder, data, [0.001])
