"""Training a supernet: L1 or squared error on random crops, averaged weights.

How long and how fast is a matter of `config` beside this module, which subnets a step trains of `strategies`, on
what of `sampling`, how they move of `optimizers`, how good they are of `validation`, and what is kept on disk of
`checkpoints`.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from arm_batch.core.stop import Stop, never
from arm_batch.errors import StoppedError, TrainingError
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.checkpoint import save_weights
from arm_batch.training.checkpoints import (
    CHECKPOINT,
    GAINS,
    LOG,
    WEIGHTS,
    TrainState,
    append_gains,
    append_log,
    restore_state,
    save_state,
    trim_log,
)
from arm_batch.training.config import TrainConfig, learning_rate
from arm_batch.training.cuda_graphs import RecordedGradients
from arm_batch.training.data import CropSampler
from arm_batch.training.distributed import Workers
from arm_batch.training.optimizers import make_optimizers, set_learning_rate
from arm_batch.training.sampling import Draws, change_of, reduce_of
from arm_batch.training.strategies import sampling_chances, set_gradients, widths_of_step
from arm_batch.training.validation import Group, Validated, validate


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a progress line needs: mean losses are since the last report, speeds over this process."""

    step: int
    steps: int
    loss: float
    steps_per_second: float
    validated: Validated

    @property
    def place(self) -> str:
        """Which step of how many."""
        return f"step {self.step:,} of {self.steps:,}"

    def line(self) -> str:
        """For a person."""
        left = (self.steps - self.step) / self.steps_per_second
        psnr = "  ".join(f"{width}: {db:.2f}" for width, db in self.validated.psnr_db.items())
        gains = "  ".join(
            f"{inputs} {' '.join(f'{db:+.2f}' for db in by_width.values())}"
            for inputs, by_width in self.validated.mean_gains_db().items()
        )
        return (
            f"{self.place}  loss {self.loss:.4g}  validation dB {psnr}  "
            f"over bicubic: {gains}  {self.steps_per_second:.1f} steps/s  {left / 60:.0f} min left"
        )


def train(
    supernet: Supernet,
    config: TrainConfig,
    sampler: CropSampler,
    validation: Sequence[Group],
    out: Path,
    report: Callable[[Progress], None],
    report_every: int = 1000,
    stop: Stop = never,
) -> None:
    """Train `supernet` in place and write averaged weights, log and checkpoint below `out`.

    Continues from the checkpoint in `out`, if any, with the steps that it would have taken uninterrupted. The
    processes of `torch.distributed` take an equal share of every batch each; the first one writes and reports.

    Args:
        supernet: on the device to run on; overwritten by the checkpoint, and by the averaged weights in the end.
        config: must agree with the checkpoint's in all that its steps depended on, see `config.past`.
        sampler: where the crops come from.
        validation: crops that are never trained on.
        out: a folder, made if missing.
        report: called every `report_every` steps, after the checkpoint was written.
        stop: asked at each checkpoint whether to end there.

    Raises:
        StoppedError: `stop` said so before the end.
        LadderError: the checkpoint belongs to another configuration.
        TrainingError: the loss is not finite; the last checkpoint stays.
    """
    workers = Workers.current(config.batch_size)
    state = _begin(supernet, config, out, workers)
    for progress in _run(state, config, _Steps(state, config, sampler, workers), validation, report_every):
        if workers.leads:
            _keep(out, state, config, progress)
            report(progress)
        if state.step < config.steps and stop():
            raise StoppedError(f"stopped at {progress.place}; the same command goes on there")
    supernet.load_state_dict(state.averaged.state_dict())
    if workers.leads:
        save_weights(out / WEIGHTS, supernet)


def _begin(supernet: Supernet, config: TrainConfig, out: Path, workers: Workers) -> TrainState:
    """Where the checkpoint in `out` left off, or the start where there is none."""
    out.mkdir(parents=True, exist_ok=True)
    state = TrainState(
        supernet=supernet,
        averaged=copy.deepcopy(supernet),
        optimizers=make_optimizers(config.optimizer, supernet, config.learning_rate),
    )
    restore_state(out / CHECKPOINT, state, config)
    if workers.leads:
        trim_log(out / LOG, state.step)
        trim_log(out / GAINS, state.step)
    return state


def _run(
    state: TrainState, config: TrainConfig, steps: _Steps, validation: Sequence[Group], report_every: int
) -> Iterator[Progress]:
    """Take all steps that are left; yields after every `report_every`, and after the last.

    Raises:
        TrainingError: the loss is not finite.
    """
    seconds_before, first_step, started = state.seconds, state.step, time.monotonic()
    while state.step < config.steps:
        loss = steps.take_until(min(config.steps, (state.step // report_every + 1) * report_every))
        validated = validate(state.averaged, config.widths, validation)
        # The loss is taken before the step: only the validation sees that the last step broke the weights.
        if not math.isfinite(loss) or not validated.is_finite:
            raise TrainingError(f"the loss is not finite at step {state.step}; the checkpoint before it is kept")
        elapsed = time.monotonic() - started
        state.seconds = seconds_before + elapsed
        yield Progress(
            step=state.step,
            steps=config.steps,
            loss=loss,
            steps_per_second=(state.step - first_step) / elapsed,
            validated=validated,
        )


def _keep(out: Path, state: TrainState, config: TrainConfig, reached: Progress) -> None:
    # The log first: a resume drops lines beyond the checkpoint, but could not write a missing one.
    rate = learning_rate(config, state.step - 1)
    append_log(out / LOG, state.step, rate, reached.loss, state.seconds, reached.validated.psnr_db)
    append_gains(out / GAINS, state.step, reached.validated.gains)
    save_state(out / CHECKPOINT, state, config)


class _Steps:
    """What all steps have in common; `take` takes the next one, `take_until` some.

    The draw of step k depends on the seed and k alone, so a run that goes on takes the steps it would have taken.
    """

    def __init__(self, state: TrainState, config: TrainConfig, sampler: CropSampler, workers: Workers) -> None:
        supernet = state.supernet
        self._state = state
        self._config = config
        self._workers = workers
        self.device = next(supernet.parameters()).device
        self._chances = sampling_chances(supernet, config.widths, config.crop_px, config.sampling_power)
        change = change_of(config.color_jitter, config.dead_leaves)
        reduce = reduce_of(config.degrade, config.clean_share, supernet.scale)
        self._draws = Draws(sampler, config.seed, config.batch_size, config.steps_per_draw, change, reduce)
        self._set_gradients = (
            RecordedGradients(supernet, config.strategy, config.loss)
            if self.device.type == "cuda"
            else partial(set_gradients, supernet, config.strategy, config.loss)
        )

    def take_until(self, step: int) -> float:
        """Take at least one step, and all before `step`; returns their mean loss."""
        losses = [self.take()]
        while self._state.step < step:
            losses.append(self.take())
        return torch.stack(losses).double().mean().item()

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
