"""How much of what an oracle could do does each way of allocating reach, at equal spend?

    python benchmarks/allocation.py --reference DIR --train DIR --val DIR --cache DIR

Networks are the published CARN weights, tables are built on the photographs of --train, the spend is a share of
CARN-64 everywhere on --val (a folder with HR/ and LRx4/), with tiles and halos as the job runs them. The slow
part, every subnet on every tile, is kept in --cache.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measured_tiles import (
    GRID,
    SCALE,
    Evaluation,
    measure_calibration,
    measure_images,
)

from arm_batch.core.allocation.apportion import ShardAllocation, assign
from arm_batch.core.allocation.histogram import image_class, take_histogram
from arm_batch.core.allocation.knapsack import allocate
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.allocation.objective import Quality, predict, solve
from arm_batch.core.arrays import Counts, Floats, Indices, Pixels
from arm_batch.core.prediction.lut import Lut
from arm_batch.core.prediction.metrics import PEAK
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.core.tiling.scores import laplacian_map, score_tiles
from arm_batch.evaluation.calibrate import DEFAULT_SCORES, TileSample, build_lut
from arm_batch.evaluation.paper_lut import PaperLut
from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.checkpoint import load_supernet
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import in_order, subnet_rung
from arm_batch.models.rungs.subnet import SubnetRung

SPENDS = (0.1, 0.2, 0.3, 0.4, 0.6)
RANDOM_BUDGETS = 100
FOLDS = 5

MIXES = 5
"""Random mixes of two neighbouring etas that the paper's rule is averaged over."""

Rule = Callable[[int], Indices]
"""From a budget in FLOPs to the subnet of each tile."""


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("reference", "train", "val", "cache"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    family = get_backbone("carn")
    supernet = load_supernet(options.reference / "arm-carn.pth", family, SCALE)
    rungs = [subnet_rung(SubnetRung(supernet, width, GRID.halo), GRID.tile) for width in family.widths]
    subnets, nets = in_order(rungs, supernet.scale, GRID)
    upscaler = Upscaler(nets, GRID, SCALE, "cpu")
    tiles = measure_images(upscaler, subnets, options.val, options.cache / f"{options.val.name}.npz")
    sample = measure_calibration(upscaler, len(subnets), options.train, options.cache / "calibration.npz")
    costs = np.array([s.flops for s in subnets], np.int64)
    report(tiles, sample, costs, PaperLut.from_json_file(options.reference / "lut_carn.json"))


@dataclass(frozen=True)
class Plan:
    """An allocation over the evaluation images.

    Attributes:
        subnets: of each tile, ``(n,)``.
        spend: FLOPs.
        quality: predicted.
    """

    subnets: Indices
    spend: int
    quality: Quality


class Job:
    """The evaluation images planned with one table, as a job would plan them."""

    def __init__(self, tiles: Evaluation, lut: Lut, costs: Counts) -> None:
        self._tiles = tiles
        self._lut = lut
        self._costs = costs
        self._scores = np.concatenate([score_tiles(lut.scores, image, GRID) for image in tiles.lr])
        self._bins = lut.bin_of(self._scores)

    def plan(self, objective: Objective, budget: int) -> Plan:
        """Allocate, and give every tile its subnet."""
        lut, tiles = self._lut, self._tiles
        per_image = [self._bins[tiles.image == i] for i in range(len(tiles.lr))]
        pixels = [image.shape[0] * image.shape[1] for image in tiles.lr]
        histogram = take_histogram(objective, lut, zip(per_image, pixels, strict=True))
        allocation = solve(objective, lut, histogram, self._costs, budget)
        classes = np.array([image_class(objective, lut, bins) for bins in per_image])[tiles.image]
        cells = classes * lut.n_bins + self._bins
        tiles_of_cell = allocation.tiles.reshape(-1, len(self._costs))
        occupied = np.unique(cells)
        subnets = assign(self._scores[:, 0], cells, ShardAllocation(occupied, tiles_of_cell[occupied]))
        return Plan(
            subnets, int(self._costs[subnets].sum()), predict(lut, histogram, allocation.tiles, GRID.tile**2)
        )


def report(tiles: Evaluation, sample: TileSample, costs: Counts, published: PaperLut) -> None:
    """Print what each rule reaches, how exact budgets are, and how true predictions."""
    full = len(tiles.image) * int(costs[-1])
    tables = {
        names: build_lut(sample, names.split(","), {})
        for names in ("laplacian", "octave", "octave,laplacian", "gain", "gain,level")
    }
    jobs = {names: Job(tiles, lut, costs) for names, lut in tables.items()}
    rules: dict[str, Rule] = {
        "laplacian psnr (edge-psnr)": lambda b: jobs["laplacian"].plan("psnr", b).subnets,
        "laplacian mse (edge-mse)": lambda b: jobs["laplacian"].plan("mse", b).subnets,
        "octave mse": lambda b: jobs["octave"].plan("mse", b).subnets,
        "octave,laplacian mse (2-D)": lambda b: jobs["octave,laplacian"].plan("mse", b).subnets,
        "gain,level mse (2-D)": lambda b: jobs["gain,level"].plan("mse", b).subnets,
        "laplacian image-psnr": lambda b: jobs["laplacian"].plan("image-psnr", b).subnets,
        "octave image-psnr": lambda b: jobs["octave"].plan("image-psnr", b).subnets,
        "octave,laplacian image-psnr": lambda b: jobs["octave,laplacian"].plan("image-psnr", b).subnets,
        "gain image-psnr": lambda b: jobs["gain"].plan("image-psnr", b).subnets,
        "gain,level image-psnr (default)": lambda b: jobs["gain,level"].plan("image-psnr", b).subnets,
        "oracle mse": lambda b: oracle(tiles, costs, b, per_image=False),
        "oracle image-psnr": lambda b: oracle(tiles, costs, b, per_image=True),
    }
    report_rules(tiles, costs, full, published, rules)
    report_exactness(jobs["gain,level"], full)
    report_predictions(tiles, jobs["gain,level"], full)
    report_held_out(sample, costs)


def report_rules(tiles: Evaluation, costs: Counts, full: int, published: PaperLut, rules: dict[str, Rule]) -> None:
    """Mean image PSNR and pooled PSNR of every rule at every spend, and the share of the oracle's gain."""
    scores = np.concatenate([patch_scores(image) for image in tiles.lr])
    figures: dict[str, list[tuple[float, float]]] = {"paper": []}
    for spend in SPENDS:
        mixes = [paper_rule(published, scores, costs, int(spend * full), seed) for seed in range(MIXES)]
        reached = [(tiles.image_psnr(m), tiles.pooled_psnr(m)) for m in mixes]
        figures["paper"].append(tuple(np.mean(reached, axis=0)))
    for name, rule in rules.items():
        plans = [rule(int(spend * full)) for spend in SPENDS]
        figures[name] = [(tiles.image_psnr(plan), tiles.pooled_psnr(plan)) for plan in plans]
    for column, (title, best) in enumerate((("mean image", "oracle image-psnr"), ("pooled", "oracle mse"))):
        print(f"\n{title} PSNR in dB, and percent of the oracle's gain over the paper's rule")
        print(f"{'':32}" + "".join(f"{spend:>14.0%}" for spend in SPENDS))
        for name, reached in figures.items():
            cells = []
            for got, low, high in zip(reached, figures["paper"], figures[best], strict=True):
                share = (got[column] - low[column]) / (high[column] - low[column])
                cells.append(f"{got[column]:8.3f} {share:4.0%} ")
            print(f"{name:32}" + "".join(cells))


def patch_scores(image: Pixels) -> Floats:
    """Edge scores as the published code computes them: each patch by itself, with the reflection that fills it."""
    patches = TileGrid(GRID.tile, 0)
    windows = patches.windows(image).take(np.arange(patches.count(*image.shape[:2])))
    return np.array([laplacian_map(window).mean() for window in windows], np.float64)


def paper_rule(lut: PaperLut, scores: Floats, costs: Counts, budget: int, seed: int) -> Indices:
    """``argmax(eta * psnr - flops)`` at the largest eta within the budget; tiles in random order get the next."""
    low, high = 0.0, 1e4
    for _ in range(100):
        middle = (low + high) / 2
        below = costs[lut.choose(scores, middle)].sum() <= budget
        low, high = (middle, high) if below else (low, middle)
    subnets, richer = lut.choose(scores, low), lut.choose(scores, high)
    left = budget - int(costs[subnets].sum())
    for tile in np.random.default_rng(seed).permutation(np.flatnonzero(subnets != richer)):
        step = int(costs[richer[tile]] - costs[subnets[tile]])
        if step <= left:
            subnets[tile] = richer[tile]
            left -= step
    return subnets


def oracle(tiles: Evaluation, costs: Counts, budget: int, per_image: bool) -> Indices:
    """The allocation that knows every tile's true errors: each tile is a bin of its own."""
    images = tiles.image if per_image else np.zeros_like(tiles.image)
    chosen = np.zeros(len(images), np.intp)
    best, reached = chosen, np.inf
    # For pooled error the weights are all the same and the second round changes nothing.
    for _ in range(12):
        errors = np.bincount(images, tiles.errors[np.arange(len(chosen)), chosen])
        value = -tiles.errors / errors[images, None]
        allocation = allocate(np.ones((1, len(chosen)), np.int64), value, np.ones(1), costs, budget)
        chosen = allocation.tiles[0].argmax(axis=1)
        found = float(np.log(np.bincount(images, tiles.errors[np.arange(len(chosen)), chosen])).sum())
        if found >= reached:
            break
        best, reached = chosen, found
    return best


def report_exactness(job: Job, full: int) -> None:
    """Spend against budget for random budgets between interpolation and everything."""
    budgets = [int(share * full) for share in np.random.default_rng(0).uniform(0.001, 1, RANDOM_BUDGETS)]
    unspent = [budget - job.plan("image-psnr", budget).spend for budget in budgets]
    over = sum(rest < 0 for rest in unspent)
    relative = max(rest / budget for rest, budget in zip(unspent, budgets, strict=True))
    print(f"\n{RANDOM_BUDGETS} random budgets from 0.1 % on: {over} overspent")
    print(f"  unspent at most {max(unspent) / full:.3%} of CARN-64 everywhere, {relative:.3%} of the budget")


def report_predictions(tiles: Evaluation, job: Job, full: int) -> None:
    """What plans are predicted to reach against what they reach, nothing shaved."""
    print("\npredicted and reached, dB")
    for spend in SPENDS:
        plan = job.plan("image-psnr", int(spend * full))
        errors = np.bincount(tiles.image, tiles.whole_errors[np.arange(len(plan.subnets)), plan.subnets])
        pixels = np.array([image.shape[0] * image.shape[1] * SCALE**2 for image in tiles.lr])
        mean = float((10 * np.log10(PEAK**2 * pixels / errors)).mean())
        pooled = float(10 * np.log10(PEAK**2 * pixels.sum() / errors.sum()))
        print(
            f"  {spend:4.0%}  images {plan.quality.image_psnr_db:.2f} {mean:.2f}   "
            f"pooled {plan.quality.pooled_psnr_db:.2f} {pooled:.2f}"
        )


def report_held_out(sample: TileSample, costs: Counts) -> None:
    """The same for photographs like those of the table, each fold planned with a table of the others."""
    predicted, reached = np.zeros(len(SPENDS)), np.zeros(len(SPENDS))
    for fold in range(FOLDS):
        out = sample.image % FOLDS == fold
        kept = TileSample(
            features=sample.features[~out],
            measured=sample.measured[~out],
            mse=sample.mse[~out],
            image=sample.image[~out],
        )
        lut = build_lut(kept, DEFAULT_SCORES, {})
        scores = np.stack([score.of_features(sample.features[out]) for score in lut.scores], axis=1)
        for place, spend in enumerate(SPENDS):
            budget = int(spend * out.sum() * costs[-1])
            tiles = allocate(lut.histogram(scores)[None], -lut.mse, np.ones(1), costs, budget).tiles[0]
            subnets = assign(scores[:, 0], lut.bin_of(scores), tiles)
            predicted[place] += (tiles * lut.mse).sum()
            reached[place] += sample.mse[out][np.arange(len(subnets)), subnets].sum()
    print("\npredicted and reached on held-out calibration images, pooled dB")
    for spend, *errors in zip(SPENDS, predicted, reached, strict=True):
        figures = (10 * np.log10(PEAK**2 * len(sample.image) / error) for error in errors)
        print(f"  {spend:4.0%}  " + " ".join(f"{figure:.2f}" for figure in figures))


if __name__ == "__main__":
    main()
