"""What defines a training run, and its learning rate at every step."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from arm_batch.training.choices import DegradeName, Loss, OptimizerName, Strategy

WARM_UP_STEPS = 100
"""Adam's first steps are as long as its learning rate whatever the gradient: they begin short."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What defines a training run; two that agree in it, in data, machine and threads take the same steps.

    Attributes:
        widths: the subnets to train, narrowest first.
        steps: optimiser steps in all.
        batch_size: crops per step.
        crop_px: side of an LR crop.
        learning_rate: after the warm-up; it ends at `final_learning_rate`.
        optimizer: ``soap`` for kernels and Adam for biases and slopes, or ``adam`` for all.
        loss: what a step minimises.
        strategy: which subnets a step trains and on what.
        sampling_power: under the strategy ``power``, a subnet is drawn in proportion to its executed FLOPs to
            this power.
        ema_decay: of the averaged weights, which are validated and saved; 0 keeps the last weights.
        bf16_steps: the first so many steps run in bfloat16 autocast, almost twice as fast on CPUs that
            have it; the rest in float32, because bfloat16 outputs are coarser than one grey level.
        color_jitter: train on crops as `augment_colour.color_jitter` makes them.
        dead_leaves: share of the crops on which `augment_dead_leaves.drop_leaves` lays some, before color jitter.
        degrade: how LR crops are made, see `degradation.RECIPES`; the sampler's crops are larger by its margin.
        clean_share: of the crops, which are not degraded all the same.
        decay_steps: the learning rate falls along a cosine over the last so many steps, and stays as it is before;
            ``None`` for all. While it stays, the end may be moved, see `past`.
        steps_per_draw: how many steps' crops are drawn together, see `draws.Draws`.
        seed: of the initial weights and of every draw.
        initial_weights: what the run starts from, by the SHA-256 of a file of weights; empty without one.
    """

    widths: tuple[int, ...]
    steps: int
    batch_size: int = 16
    crop_px: int = 32
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-7
    optimizer: OptimizerName = "soap"
    loss: Loss = "l1"
    strategy: Strategy = "power"
    sampling_power: float = 2.0
    ema_decay: float = 0.999
    bf16_steps: int = 0
    color_jitter: bool = False
    dead_leaves: float = 0.0
    degrade: DegradeName = "none"
    clean_share: float = 0.0
    decay_steps: int | None = None
    steps_per_draw: int = 1
    seed: int = 0
    initial_weights: str = ""

    @property
    def decay_from(self) -> int:
        """The step from which on the learning rate falls."""
        return 0 if self.decay_steps is None else max(0, self.steps - self.decay_steps)


def learning_rate(config: TrainConfig, step: int) -> float:
    """The schedule at `step` (from 0): a cosine at the end or all along, the first steps scaled down linearly."""
    fallen = max(0, step - config.decay_from) / (config.steps - config.decay_from)
    cosine = (1 + math.cos(math.pi * fallen)) / 2
    rate = config.final_learning_rate + cosine * (config.learning_rate - config.final_learning_rate)
    return rate * min(1.0, (step + 1) / WARM_UP_STEPS)


def past(config: TrainConfig, step: int) -> dict[str, Any]:
    """What the first `step` steps depended on, by name: two runs that agree in it are the same until there.

    A rate that stays as it is does not know yet when it will fall, nor a step in bfloat16 which ones will not be.
    """
    depended = asdict(config) | {"bf16_steps": min(config.bf16_steps, step)}
    if config.decay_steps is not None and step <= config.decay_from:
        for name in ("steps", "decay_steps", "final_learning_rate"):
            del depended[name]
    return depended
