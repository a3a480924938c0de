"""Which way of training a supernet serves a budget best? Each gets the same CPU time from the same start.

    python benchmarks/strategies.py PHOTOGRAPHS [--backbone fsrcnn] [--seconds 80] [--init WEIGHTS]

With `--init`, which one takes trained weights further? What pays late in a training can cost at its beginning.

The figure to compare is the pooled PSNR that an allocation over held-out tiles reaches, where each tile's true
errors are known: what a lookup table without faults would give. It is averaged over several budgets, so that each
subnet counts for as much as the budgets use it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from arm_batch.cli.options import parse_reductions
from arm_batch.core.allocation.knapsack import allocate
from arm_batch.core.prediction.ladder import interpolation_flops
from arm_batch.core.prediction.metrics import psnr_of_mse
from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.checkpoint import load_supernet
from arm_batch.models.tensors import bicubic
from arm_batch.training.config import TrainConfig
from arm_batch.training.data import Crops, CropSampler, load_pair, split_images
from arm_batch.training.trainer import train
from arm_batch.training.validation import Group

SCALE = 4
BUDGETS = (0.1, 0.25, 0.5, 0.75)
TILES = 512
CALIBRATION_STEPS = 40


def main() -> None:
    """Print one line for each way of training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--backbone", default="fsrcnn")
    parser.add_argument("--seconds", type=float, default=80, help="CPU time of each run")
    parser.add_argument("--reductions", type=parse_reductions, default="2", help="as for `arm-batch train`")
    parser.add_argument("--init", type=Path, help="weights to start from, instead of random ones")
    parser.add_argument("--only", nargs="+", help="of the ways of training, these; default: all")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    training, held_out = split_images(asked.photographs)
    pairs = [load_pair(path, SCALE, reduction) for path in training for reduction in asked.reductions]
    sampler = CropSampler(pairs, 32, SCALE)
    tiles = CropSampler([load_pair(path, SCALE) for path in held_out], 32, SCALE).sample(
        np.random.default_rng(0), TILES
    )
    widths = get_backbone(asked.backbone).widths
    base = TrainConfig(widths=widths, steps=CALIBRATION_STEPS, learning_rate=2e-3, bf16_steps=10**9)
    ways = {
        "power 2": base,
        "power 1": replace(base, sampling_power=1),
        "sandwich": replace(base, strategy="sandwich"),
        "distil": replace(base, strategy="distil"),
        "power 2, adam": replace(base, optimizer="adam"),
        "power 1, vary colours": replace(base, sampling_power=1, color_jitter=True),
        "power 1, colours, leaves": replace(base, sampling_power=1, color_jitter=True, dead_leaves=1.0),
        "colours, leaves, l2": replace(base, sampling_power=1, color_jitter=True, dead_leaves=1.0, loss="l2"),
    }
    print(f"{'':<24} {'steps':>6} {'weighted dB':>11}  PSNR per width, dB")
    # Once for nothing: the first steps of a process also compile kernels.
    run(start(asked), ways["sandwich"], sampler, tiles)
    for name, config in ways.items():
        if asked.only and name not in asked.only:
            continue
        seconds, _ = run(start(asked), config, sampler, tiles)
        steps = int(asked.seconds / seconds * CALIBRATION_STEPS)
        _, supernet = run(start(asked), replace(config, steps=steps), sampler, tiles)
        errors = tile_errors(supernet, tiles)
        per_width = "  ".join(f"{db:.3f}" for db in psnr_of_mse(errors.mean(axis=0))[1:])
        print(f"{name:<24} {steps:>6} {weighted_psnr(supernet, errors):11.3f}  {per_width}", flush=True)


def start(asked: argparse.Namespace) -> Supernet:
    """What each way of training begins with: the weights that were asked for, or those of seed 0."""
    torch.manual_seed(0)
    backbone = get_backbone(asked.backbone)
    supernet = load_supernet(asked.init, backbone, SCALE).train() if asked.init else Supernet(backbone, SCALE)
    return supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def run(supernet: Supernet, config: TrainConfig, sampler: CropSampler, tiles: Crops) -> tuple[float, Supernet]:
    """Train; returns the CPU seconds spent and the trained supernet."""
    one_tile = [Group("photographs", "clean", (tiles[0][:1], tiles[1][:1]))]
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        train(supernet, config, sampler, one_tile, Path(folder), lambda _: None, report_every=10**9)
        return time.process_time() - started, supernet


def tile_errors(supernet: Supernet, tiles: Crops) -> np.ndarray:
    """Mean squared error of each tile under interpolation and each subnet, ``(n, 1 + n_widths)``."""
    lr, hr = tiles
    networks: list[Callable[[Tensor], Tensor]] = [
        bicubic(SCALE),
        *(supernet.subnet(width) for width in supernet.backbone.widths),
    ]
    columns = []
    with torch.no_grad():
        for network in networks:
            outputs = torch.cat([network(part).clamp(0, 1) for part in torch.split(lr, 16)])
            columns.append(((outputs - hr) * 255).square().mean(dim=(1, 2, 3)).numpy())
    return np.stack(columns, axis=1).astype(np.float64)


def weighted_psnr(supernet: Supernet, errors: np.ndarray) -> float:
    """PSNR of the pooled error, averaged over the budgets, each spent in the best way on these tiles."""
    flops = [supernet.flops(width, 32, 32).executed for width in supernet.backbone.widths]
    costs = np.array([interpolation_flops(SCALE, 32), *flops], np.int64)
    reached = []
    for share in BUDGETS:
        budget = int(share * len(errors) * costs[-1])
        tiles = allocate(np.ones((1, len(errors)), np.int64), -errors, np.ones(1), costs, budget).tiles[0]
        reached.append(float(psnr_of_mse((tiles * errors).sum() / len(errors))))
    return float(np.mean(reached))


if __name__ == "__main__":
    main()
