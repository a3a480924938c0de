"""Measuring a ladder along its budgets: the tiling and the allocation of the job, on a folder of paired images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arm_batch.core.allocation.in_memory import choose_subnets
from arm_batch.core.arrays import Indices, Pixels8
from arm_batch.core.prediction.ladder import Ladder
from arm_batch.core.tiling.grid import Stitcher
from arm_batch.evaluation.evaluate import FLOPS_TILE_PX, Quality, mean_quality, measure, read_pairs
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import LadderFiles
from arm_batch.spec import DEFAULT_OBJECTIVE


@dataclass(frozen=True, kw_only=True)
class BudgetQuality:
    """What one budget reaches over a folder of images.

    Attributes:
        budget: share of running the largest subnet everywhere, in (0, 1].
        images: how many were measured.
        quality: mean over them.
        flops: executed for 32x32 px of the LR images, on average: halos and filled-up tiles count.
        paper_flops: the same in the convention of the published tables.
        subnet_tiles: tiles that each subnet got, cheapest first.
    """

    budget: float
    images: int
    quality: Quality
    flops: float
    paper_flops: float
    subnet_tiles: tuple[int, ...]


def evaluate_budgets(
    files: LadderFiles, data: Path, budgets: Sequence[float], limit: int | None = None
) -> list[BudgetQuality]:
    """Upscale all images of a folder as one archive, once for each budget.

    Args:
        files: the ladder.
        data: a folder with ``HR/`` and ``LRx<scale>/``, see `arm_batch.evaluation.evaluate.read_pairs`.
        budgets: shares of running the largest subnet everywhere.
        limit: take only the first so many images.

    Raises:
        BudgetError: a budget is less than interpolation alone needs.
        InputError: the folder does not hold such pairs, or images too small to measure.
    """
    ladder = files.ladder
    scores, pixels = [], []
    for _, pair in read_pairs(data, ladder.scale, limit):
        scores.append(ladder.scores(pair.lr))
        pixels.append(pair.lr.shape[0] * pair.lr.shape[1])
    full = sum(map(len, scores)) * int(ladder.costs[-1])
    chosen = [choose_subnets(ladder, DEFAULT_OBJECTIVE, scores, pixels, int(share * full)) for share in budgets]
    upscaler = Upscaler(files.nets, ladder.grid, ladder.scale, "cpu")
    measured: list[list[Quality]] = [[] for _ in budgets]
    area = sum(pixels)
    for position, (file, pair) in enumerate(read_pairs(data, ladder.scale, limit)):
        outputs = _run_needed(upscaler, ladder, pair.lr, np.stack([images[position] for images in chosen]))
        for images, values in zip(chosen, measured, strict=True):
            sr = _stitch(ladder, pair.lr, outputs, images[position])
            values.append(measure(sr, pair.hr, ladder.scale, file))
    paper_costs = np.array([subnet.paper_flops for subnet in ladder.subnets], np.int64)
    rows = []
    for budget, images, values in zip(budgets, chosen, measured, strict=True):
        tiles = np.bincount(np.concatenate(images), minlength=len(ladder.subnets))
        flops, paper = (float(tiles @ costs) * FLOPS_TILE_PX**2 / area for costs in (ladder.costs, paper_costs))
        rows.append(
            BudgetQuality(
                budget=budget,
                images=len(values),
                quality=mean_quality(values),
                flops=flops,
                paper_flops=paper,
                subnet_tiles=tuple(tiles.tolist()),
            )
        )
    return rows


def _run_needed(upscaler: Upscaler, ladder: Ladder, lr: Pixels8, chosen: Indices) -> dict[int, Pixels8]:
    """Outputs of each subnet for the tiles that some budget gives it; other tiles stay undefined.

    Args:
        upscaler: of the ladder.
        ladder: the ladder.
        lr: the image.
        chosen: subnet of each tile under each budget, ``(n_budgets, n_tiles)``.

    Returns:
        For each subnet ``(n_tiles, scale*tile, scale*tile, 3)``.
    """
    windows = ladder.grid.windows(lr)
    outputs: dict[int, Pixels8] = {}
    for subnet in np.unique(chosen).tolist():
        tiles = np.flatnonzero((chosen == subnet).any(axis=0))
        (upscaled,) = upscaler.run(subnet, [windows.take(tiles)])
        outputs[subnet] = np.empty((chosen.shape[1], *upscaled.pixels.shape[1:]), lr.dtype)
        outputs[subnet][tiles] = upscaled.pixels
    return outputs


def _stitch(ladder: Ladder, lr: Pixels8, outputs: dict[int, Pixels8], chosen: Indices) -> Pixels8:
    stitcher = Stitcher(ladder.grid, lr.shape[0], lr.shape[1], 3, lr.dtype, ladder.scale)
    for subnet in np.unique(chosen).tolist():
        tiles = np.flatnonzero(chosen == subnet)
        stitcher.add(tiles, outputs[subnet][tiles])
    return stitcher.image()
