"""What a training run keeps in its folder: a checkpoint to continue from, and a log."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import torch

from arm_batch.core.json_records import Amount, Count, Positive, Record, as_record
from arm_batch.errors import LadderError
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.checkpoint import load_checkpoint, save_checkpoint
from arm_batch.training.config import TrainConfig, past
from arm_batch.training.validation import Gain

CHECKPOINT = "checkpoint.pt"
LOG = "training_log.csv"
GAINS = "validation_gains.csv"
WEIGHTS = "weights.safetensors"
LOG_FIELDS = ("step", "lr", "loss", "seconds")


@dataclass(kw_only=True)
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


class _Checkpoint(Record, frozen=True):
    """What `save_state` writes; the tensors are looked at by those that take them."""

    what: ClassVar[str] = "a training checkpoint"
    remedy: ClassVar[str] = "remove it to train from the beginning"

    backbone: str
    scale: Positive
    config: dict[str, Any]
    step: Count
    seconds: Amount
    net: dict[str, Any]
    averaged: dict[str, Any]
    optimizers: list[dict[str, Any]]


def save_state(path: Path, state: TrainState, config: TrainConfig) -> None:
    """Write the checkpoint; a kill while writing leaves the one before."""
    document = {
        "backbone": state.supernet.backbone.name,
        "scale": state.supernet.scale,
        "config": asdict(config),
        "step": state.step,
        "seconds": state.seconds,
        "net": state.supernet.net.state_dict(),
        "averaged": state.averaged.net.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
    }
    save_checkpoint(path, document)


def restore_state(path: Path, state: TrainState, config: TrainConfig) -> None:
    """Continue from the checkpoint at `path`, if there is one.

    Raises:
        LadderError: it is damaged, or belongs to another backbone or scale, or to another configuration as far as
            its steps depended on that.
    """
    if not path.exists():
        return
    record = as_record(load_checkpoint(path), _Checkpoint, str(path), LadderError)
    # A setting that is younger than the checkpoint has its default there.
    known = {field.name for field in fields(TrainConfig)}
    found_config = TrainConfig(**{name: value for name, value in record.config.items() if name in known})
    asked = {"backbone": state.supernet.backbone.name, "scale": state.supernet.scale, **past(config, record.step)}
    found = {"backbone": record.backbone, "scale": record.scale, **past(found_config, record.step)}
    differing = [k for k in {**asked, **found} if asked.get(k) != found.get(k)]
    if differing:
        was, wanted = asdict(found_config) | found, asdict(config) | asked
        told = ", ".join(f"{k} {was[k]} (asked for: {wanted[k]})" for k in differing)
        raise LadderError(f"{path} belongs to another run: it has {told}")
    try:
        state.supernet.net.load_state_dict(record.net)
        state.averaged.net.load_state_dict(record.averaged)
        for optimizer, saved in zip(state.optimizers, record.optimizers, strict=True):
            optimizer.load_state_dict(saved)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        told = " ".join(str(error).split())[:300]
        raise LadderError(f"{path} does not hold the tensors of such a run: {told}; {record.remedy}") from error
    state.step, state.seconds = record.step, record.seconds


def trim_log(path: Path, steps: int) -> None:
    """Drop the lines of steps that the checkpoint does not hold; `LadderError` where it is no log."""
    if not path.exists():
        return
    try:
        with path.open(newline="") as file:
            kept = [row for i, row in enumerate(csv.reader(file)) if i == 0 or int(row[0]) <= steps]
    except (ValueError, IndexError, csv.Error) as error:
        raise LadderError(f"{path} is not the log of a training ({error}); remove it to go on") from error
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


def append_gains(path: Path, step: int, gains: Sequence[Gain]) -> None:
    """Add a line for each subnet and each kind of pictures and inputs."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", "pictures", "inputs", "width", "gain_y_db"])
        writer.writerows([step, gain.pictures, gain.inputs, gain.width, f"{gain.db:.4f}"] for gain in gains)
