"""Training a supernet: L1 or squared error on random crops, a warm-up and a cosine, averaged weights.

Which subnets a step trains is a matter of `arm_batch.nets.strategies`, on what of `arm_batch.nets.draws`, how they
move of `arm_batch.nets.optimizers`, and what is kept on disk of `arm_batch.nets.training_files`.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.optim.swa_utils import get_ema_multi_avg_fn

from arm_batch.core.stop import Stop, never
from arm_batch.errors import StoppedError, TrainingError
from arm_batch.nets.checkpoint import save_weights
from arm_batch.nets.cuda_graphs import RecordedGradients
from arm_batch.nets.data import Crops, CropSampler
from arm_batch.nets.degrade import DegradeName
from arm_batch.nets.draws import Draws, change_of, reduce_of
from arm_batch.nets.optimizers import OptimizerName, make_optimizers, set_learning_rate
from arm_batch.nets.slimmable import Supernet
from arm_batch.nets.strategies import Loss, Strategy, sampling_chances, set_gradients, widths_of_step
from arm_batch.nets.training_files import (
    CHECKPOINT,
    LOG,
    WEIGHTS,
    TrainState,
    append_log,
    restore_state,
    save_state,
    trim_log,
)
from arm_batch.nets.workers import Workers

WARM_UP_STEPS = 100
"""Adam's first steps are as long as its learning rate whatever the gradient: they begin short."""


@dataclass(frozen=True)
class TrainConfig:
    """What defines a training run; two that agree in it, in data, machine and threads take the same steps.

    Attributes:
        widths: the subnets to train, narrowest first.
        steps: optimiser steps in all.
        batch_size: crops per step.
        crop_px: side of an LR crop.
        learning_rate: after the warm-up; the cosine ends at `final_learning_rate`.
        optimizer: ``soap`` for kernels and Adam for biases and slopes, or ``adam`` for all.
        loss: what a step minimises.
        strategy: which subnets a step trains and on what.
        sampling_power: under the strategy ``power``, a subnet is drawn in proportion to its executed FLOPs to
            this power.
        ema_decay: of the averaged weights, which are validated and saved; 0 keeps the last weights.
        bf16_steps: the first so many steps run in bfloat16 autocast, almost twice as fast on CPUs that
            have it; the rest in float32, because bfloat16 outputs are coarser than one grey level.
        vary_colours: train on crops as `colours.vary_colours` makes them.
        leaves: share of the crops on which `leaves.drop_leaves` lays some, before colours are varied.
        degrade: how LR crops are made, see `degrade.RECIPES`; the sampler's crops are then larger by its margin.
        clean_share: of the crops, which are not degraded all the same.
        decay_steps: the learning rate falls over the last so many steps, and stays as it is before; None for all.
            As long as it stays, it may be decided anew when it is to fall, and how many steps there are.
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
    vary_colours: bool = False
    leaves: float = 0.0
    degrade: DegradeName = "none"
    clean_share: float = 0.0
    decay_steps: int | None = None
    steps_per_draw: int = 1
    seed: int = 0
    initial_weights: str = ""


@dataclass(frozen=True)
class Progress:
    """What a progress line needs: mean losses are since the last report, speeds over this process."""

    step: int
    steps: int
    loss: float
    steps_per_second: float
    validation_psnr_db: dict[int, float]

    def line(self) -> str:
        """For a person."""
        left = (self.steps - self.step) / self.steps_per_second
        psnr = "  ".join(f"{width}: {db:.2f}" for width, db in self.validation_psnr_db.items())
        return (
            f"step {self.step:,} of {self.steps:,}  loss {self.loss:.4g}  "
            f"validation dB {psnr}  {self.steps_per_second:.1f} steps/s  {left / 60:.0f} min left"
        )


def train(
    supernet: Supernet,
    config: TrainConfig,
    sampler: CropSampler,
    validation: Crops,
    out: Path,
    report: Callable[[Progress], None],
    report_every: int = 1000,
    stop: Stop = never,
) -> None:
    """Train `supernet` in place and write averaged weights, log and checkpoint below `out`.

    Continues from the checkpoint in `out` when there is one. The draw of step k depends on the seed and k
    alone, so a run that was killed and continued takes the same steps as one that was not. Runs on the device
    that `supernet` is on. Where `torch.distributed` has a process group, each of its processes takes an equal
    share of every batch; all read the checkpoint, the first one writes and reports.

    Args:
        supernet: overwritten by the checkpoint, if any; holds the averaged weights afterwards.
        config: must equal the checkpoint's.
        sampler: where the crops come from.
        validation: LR and HR crops as `CropSampler.sample` gives them, never trained on.
        out: a folder, made if missing.
        report: called every `report_every` steps, after the checkpoint was written.
        stop: asked at each checkpoint whether to end there.

    Raises:
        StoppedError: `stop` said so before the end.
        LadderError: the checkpoint belongs to another configuration.
        TrainingError: the loss is not finite; the last checkpoint stays as it was.
    """
    workers = Workers.current(config.batch_size)
    out.mkdir(parents=True, exist_ok=True)
    state = TrainState(
        supernet,
        averaged=copy.deepcopy(supernet),
        optimizers=make_optimizers(config.optimizer, supernet, config.learning_rate),
    )
    restore_state(out / CHECKPOINT, state, asdict(config))
    if workers.leads:
        trim_log(out / LOG, state.step)
    steps = _Steps(state, config, sampler, workers)
    validation = (validation[0].to(steps.device), validation[1].to(steps.device))
    seconds_before, first_step, started, losses = state.seconds, state.step, time.monotonic(), []
    while state.step < config.steps:
        losses.append(steps.take())
        if state.step % report_every and state.step != config.steps:
            continue
        loss, losses = torch.stack(losses).double().mean().item(), []
        psnr = validate(state.averaged, config.widths, *validation)
        # The loss is taken before the step: only the validation sees that the last step broke the weights.
        if not math.isfinite(loss) or any(map(math.isnan, psnr.values())):
            raise TrainingError(f"the loss is not finite at step {state.step}; the checkpoint before it is kept")
        elapsed = time.monotonic() - started
        state.seconds = seconds_before + elapsed
        if workers.leads:
            # The log first: a resume drops lines beyond the checkpoint, but could not write a missing one.
            append_log(out / LOG, state.step, learning_rate(config, state.step - 1), loss, state.seconds, psnr)
            save_state(out / CHECKPOINT, state, asdict(config))
            report(Progress(state.step, config.steps, loss, (state.step - first_step) / elapsed, psnr))
        if state.step < config.steps and stop():
            raise StoppedError(
                f"stopped at step {state.step:,} of {config.steps:,}; the same command goes on there"
            )
    supernet.load_state_dict(state.averaged.state_dict())
    if workers.leads:
        save_weights(out / WEIGHTS, supernet)


def learning_rate(config: TrainConfig, step: int) -> float:
    """The schedule at `step` (from 0): a cosine at the end or all along, the first steps scaled down linearly."""
    falling = config.steps if config.decay_steps is None else config.decay_steps
    fallen = max(0, step - config.steps + falling) / falling
    cosine = (1 + math.cos(math.pi * fallen)) / 2
    rate = config.final_learning_rate + cosine * (config.learning_rate - config.final_learning_rate)
    return rate * min(1.0, (step + 1) / WARM_UP_STEPS)


def validate(supernet: Supernet, widths: tuple[int, ...], lr: torch.Tensor, hr: torch.Tensor) -> dict[int, float]:
    """PSNR in dB over the pooled RGB error of each width on fixed crops, outputs clamped to [0, 1]."""
    psnr = {}
    with torch.no_grad():
        for width in widths:
            mse = F.mse_loss(supernet(lr, width).clamp(0, 1), hr).item()
            psnr[width] = -10 * math.log10(mse)
    return psnr


class _Steps:
    """What all steps have in common; `take` takes the next one."""

    def __init__(self, state: TrainState, config: TrainConfig, sampler: CropSampler, workers: Workers) -> None:
        supernet = state.supernet
        self._state = state
        self._config = config
        self._workers = workers
        self.device = next(supernet.parameters()).device
        self._chances = sampling_chances(supernet, config.widths, config.crop_px, config.sampling_power)
        change = change_of(config.vary_colours, config.leaves)
        reduce = reduce_of(config.degrade, config.clean_share, supernet.scale)
        self._draws = Draws(sampler, config.seed, config.batch_size, config.steps_per_draw, change, reduce)
        self._set_gradients = (
            RecordedGradients(supernet, config.strategy, config.loss)
            if self.device.type == "cuda"
            else partial(set_gradients, supernet, config.strategy, config.loss)
        )

    def take(self) -> torch.Tensor:
        """Returns the loss before the step, a scalar on the device."""
        state, config, workers = self._state, self._config, self._workers
        rng = np.random.default_rng([config.seed, state.step])
        widths = widths_of_step(config.strategy, config.widths, self._chances, rng)
        crops = self._draws.of_step(state.step)
        lr, hr = (workers.share(side).to(self.device, non_blocking=True) for side in crops)
        set_learning_rate(state.optimizers, learning_rate(config, state.step))
        loss = self._set_gradients(widths, lr, hr, state.step < config.bf16_steps)
        loss = workers.average(state.supernet, loss)
        for optimizer in state.optimizers:
            optimizer.step()
        workers.follow(state.supernet)
        _average(state, config.ema_decay)
        state.step += 1
        return loss


def _average(state: TrainState, decay: float) -> None:
    """Move the averaged weights towards the current ones; a short memory at first, when they move most."""
    decay = min(decay, state.step / (state.step + 10))
    averaged, current = (list(net.parameters()) for net in (state.averaged, state.supernet))
    get_ema_multi_avg_fn(decay)(averaged, current, state.step)  # type: ignore[no-untyped-call]
