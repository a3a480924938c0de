"""Training a supernet as the ARM paper does: L1, Adam, a cosine schedule, computation-aware sampling.

Source: Chen et al., "ARM: Any-Time Super-Resolution Method", ECCV 2022. Each step trains one subnet, drawn with
probability proportional to a power of its cost (the paper squares it), because the costly subnets take
longest to converge and share their first channels with all others.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from arm_batch.errors import LadderError, TrainingError
from arm_batch.nets.checkpoint import load_checkpoint, save_checkpoint, save_weights
from arm_batch.nets.data import CropSampler
from arm_batch.nets.slimmable import Supernet

CHECKPOINT = "checkpoint.pt"
LOG = "training_log.csv"
WEIGHTS = "weights.safetensors"
LOG_FIELDS = ("step", "lr", "loss", "seconds")


@dataclass(frozen=True)
class TrainConfig:
    """What defines a training run; two runs that agree in it (and in data) take the same steps.

    Attributes:
        widths: the subnets to train.
        steps: optimiser steps in all.
        batch_size: crops per step.
        crop_px: side of an LR crop.
        learning_rate: at the start; the cosine ends at `final_learning_rate`.
        sampling_power: a subnet is drawn in proportion to its executed FLOPs to this power.
        bf16_steps: the first so many steps run in bfloat16 autocast, almost twice as fast on CPUs that
            have it; the rest in float32, because bfloat16 outputs are coarser than one grey level.
        seed: of the initial weights and of every draw.
    """

    widths: tuple[int, ...]
    steps: int
    batch_size: int = 16
    crop_px: int = 32
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-7
    sampling_power: float = 2.0
    bf16_steps: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    """What a progress line needs: mean losses are since the last report, speeds over this process."""

    step: int
    steps: int
    loss: float
    steps_per_second: float
    validation_psnr_db: dict[int, float]


def train(
    supernet: Supernet,
    config: TrainConfig,
    sampler: CropSampler,
    validation: tuple[torch.Tensor, torch.Tensor],
    out: Path,
    report: Callable[[Progress], None],
    report_every: int = 1000,
) -> None:
    """Train `supernet` in place and write its weights, log and checkpoint below `out`.

    Continues from the checkpoint in `out` when there is one. The draw of step k depends on the seed and k
    alone, so a run that was killed and continued takes the same steps as one that was not.

    Args:
        supernet: overwritten by the checkpoint, if any.
        config: must equal the checkpoint's.
        sampler: where the crops come from.
        validation: LR and HR crops as `CropSampler.sample` gives them, never trained on.
        out: a folder, made if missing.
        report: called every `report_every` steps, after the checkpoint was written.

    Raises:
        LadderError: the checkpoint belongs to another configuration.
        TrainingError: the loss is not finite; the last checkpoint stays as it was.
    """
    out.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.Adam(
        (p for p in supernet.parameters() if p.requires_grad),
        lr=config.learning_rate,
        betas=(0.9, 0.99),
    )
    start_step, seconds_before = _resume(supernet, optimizer, config, out / CHECKPOINT)
    _trim_log(out / LOG, start_step)
    chances = sampling_chances(supernet, config)
    started, losses = time.monotonic(), 0.0
    for step in range(start_step, config.steps):
        losses += _train_step(supernet, optimizer, config, sampler, chances, step)
        done = step + 1
        if done % report_every and done != config.steps:
            continue
        mean_loss = losses / (done - max(start_step, (done - 1) // report_every * report_every))
        losses = 0.0
        psnr = validate(supernet, config.widths, *validation)
        # The loss is taken before the step: only the validation sees that the last step broke the weights.
        if not math.isfinite(mean_loss) or any(map(math.isnan, psnr.values())):
            raise TrainingError(f"the loss is not finite at step {done}; the checkpoint before it is kept")
        elapsed = time.monotonic() - started
        seconds = seconds_before + elapsed
        # The log first: a resume drops lines beyond the checkpoint, but could not write a missing one.
        _append_log(out / LOG, done, learning_rate(config, step), mean_loss, seconds, psnr)
        save_checkpoint(out / CHECKPOINT, _state(supernet, optimizer, config, done, seconds))
        report(Progress(done, config.steps, mean_loss, (done - start_step) / elapsed, psnr))
    save_weights(out / WEIGHTS, supernet)


def sampling_chances(supernet: Supernet, config: TrainConfig) -> np.ndarray:
    """The probability of each width: proportional to executed FLOPs ** `sampling_power`."""
    costs = [supernet.flops(w, config.crop_px, config.crop_px).executed for w in config.widths]
    powered = np.array(costs, dtype=np.float64) ** config.sampling_power
    chances: np.ndarray = powered / powered.sum()
    return chances


def learning_rate(config: TrainConfig, step: int) -> float:
    """The cosine schedule at `step` (from 0)."""
    cosine = (1 + math.cos(math.pi * step / config.steps)) / 2
    return config.final_learning_rate + cosine * (config.learning_rate - config.final_learning_rate)


def validate(supernet: Supernet, widths: tuple[int, ...], lr: torch.Tensor, hr: torch.Tensor) -> dict[int, float]:
    """PSNR in dB over the pooled RGB error of each width on fixed crops, outputs clamped to [0, 1]."""
    psnr = {}
    with torch.no_grad():
        for width in widths:
            mse = F.mse_loss(supernet(lr, width).clamp(0, 1), hr).item()
            psnr[width] = -10 * math.log10(mse)
    return psnr


def _train_step(
    supernet: Supernet,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    sampler: CropSampler,
    chances: np.ndarray,
    step: int,
) -> float:
    rng = np.random.default_rng([config.seed, step])
    width = int(rng.choice(config.widths, p=chances))
    lr, hr = sampler.sample(rng, config.batch_size)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, step)
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(lr.device.type, torch.bfloat16, enabled=step < config.bf16_steps):
        output = supernet(lr, width)
    loss = F.l1_loss(output.float(), hr)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.item()


def _state(
    supernet: Supernet,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    step: int,
    seconds: float,
) -> dict[str, Any]:
    return {
        "backbone": supernet.backbone.name,
        "scale": supernet.scale,
        "config": asdict(config),
        "step": step,
        "seconds": seconds,
        "net": supernet.net.state_dict(),
        "optimizer": optimizer.state_dict(),
    }


def _resume(
    supernet: Supernet, optimizer: torch.optim.Optimizer, config: TrainConfig, path: Path
) -> tuple[int, float]:
    """Load the checkpoint, if any; returns (steps done, seconds spent)."""
    if not path.exists():
        return 0, 0.0
    state = load_checkpoint(path)
    asked = {"backbone": supernet.backbone.name, "scale": supernet.scale, **asdict(config)}
    found = {"backbone": state["backbone"], "scale": state["scale"], **state["config"]}
    differing = [k for k in asked if asked[k] != found.get(k)]
    if differing:
        told = ", ".join(f"{k} {found.get(k)} (asked for: {asked[k]})" for k in differing)
        raise LadderError(f"{path} belongs to another run: it has {told}")
    supernet.net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), float(state["seconds"])


def _trim_log(path: Path, steps: int) -> None:
    """Drop the lines of steps that the checkpoint does not hold."""
    if not path.exists():
        return
    with path.open(newline="") as file:
        kept = [row for i, row in enumerate(csv.reader(file)) if i == 0 or int(row[0]) <= steps]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(kept)


def _append_log(path: Path, step: int, lr: float, loss: float, seconds: float, psnr: dict[int, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow([*LOG_FIELDS, *(f"validation_psnr_db_{w}" for w in psnr)])
        values = [f"{v:.4f}" for v in psnr.values()]
        writer.writerow([step, f"{lr:.3e}", f"{loss:.6f}", f"{seconds:.1f}", *values])
