"""What a training run keeps in its folder: a checkpoint to continue from, and a log."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from arm_batch.errors import LadderError
from arm_batch.nets.checkpoint import load_checkpoint, save_checkpoint
from arm_batch.nets.slimmable import Supernet

CHECKPOINT = "checkpoint.pt"
LOG = "training_log.csv"
WEIGHTS = "weights.safetensors"
_FREE = frozenset({"steps", "decay_steps", "bf16_steps"})
"""What may be decided anew as long as no step has depended on it."""

_DEFAULTS: dict[str, Any] = {"degrade": "none", "clean_share": 0.0}
"""Of checkpoints that are older than these settings."""

LOG_FIELDS = ("step", "lr", "loss", "seconds")


@dataclass
class TrainState:
    """Everything that a step changes.

    Attributes:
        supernet: the weights that are trained.
        averaged: their exponential moving average.
        optimizers: of `supernet`.
        step: steps done.
        seconds: spent on them, over all processes.
    """

    supernet: Supernet
    averaged: Supernet
    optimizers: tuple[torch.optim.Optimizer, ...]
    step: int = 0
    seconds: float = 0.0


def save_state(path: Path, state: TrainState, config: dict[str, Any]) -> None:
    """Write the checkpoint; a kill while writing leaves the one before."""
    document = {
        "backbone": state.supernet.backbone.name,
        "scale": state.supernet.scale,
        "config": config,
        "step": state.step,
        "seconds": state.seconds,
        "net": state.supernet.net.state_dict(),
        "averaged": state.averaged.net.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
    }
    save_checkpoint(path, document)


def restore_state(path: Path, state: TrainState, config: dict[str, Any]) -> None:
    """Continue from the checkpoint at `path`, if there is one.

    Raises:
        LadderError: it is damaged, or belongs to another backbone, scale or configuration; `state` is untouched.
    """
    if not path.exists():
        return
    document = load_checkpoint(path)
    if not isinstance(document, dict) or not {"backbone", "scale", "config", "step"} <= document.keys():
        raise LadderError(f"{path}: not a training checkpoint")
    asked = {"backbone": state.supernet.backbone.name, "scale": state.supernet.scale, **config}
    found = {"backbone": document["backbone"], "scale": document["scale"], **document["config"]}
    free = _FREE if int(document["step"]) <= min(_settled(asked), _settled(found)) else frozenset()
    differing = [k for k in asked if asked[k] != found.get(k, _DEFAULTS.get(k)) and k not in free]
    if differing:
        told = ", ".join(f"{k} {found.get(k)} (asked for: {asked[k]})" for k in differing)
        raise LadderError(f"{path} belongs to another run: it has {told}")
    state.supernet.net.load_state_dict(document["net"])
    state.averaged.net.load_state_dict(document["averaged"])
    for optimizer, saved in zip(state.optimizers, document["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    state.step, state.seconds = int(document["step"]), float(document["seconds"])


def _settled(config: dict[str, Any]) -> int:
    """The step up to which nothing depends on how many there will be."""
    decay = config.get("decay_steps")
    return 0 if decay is None else min(config["steps"] - decay, config["bf16_steps"])


def trim_log(path: Path, steps: int) -> None:
    """Drop the lines of steps that the checkpoint does not hold."""
    if not path.exists():
        return
    with path.open(newline="") as file:
        kept = [row for i, row in enumerate(csv.reader(file)) if i == 0 or int(row[0]) <= steps]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(kept)


def append_log(path: Path, step: int, lr: float, loss: float, seconds: float, psnr: dict[int, float]) -> None:
    """Add one line: mean loss since the last one, validation PSNR in dB per width."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow([*LOG_FIELDS, *(f"validation_psnr_db_{w}" for w in psnr)])
        values = [f"{v:.4f}" for v in psnr.values()]
        writer.writerow([step, f"{lr:.3e}", f"{loss:.6f}", f"{seconds:.1f}", *values])
