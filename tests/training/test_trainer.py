"""Training: the same steps whether or not it was interrupted."""

import csv
import math
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from arm_batch.errors import LadderError, StoppedError, TrainingError
from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.checkpoint import load_supernet
from arm_batch.training import trainer as train_module
from arm_batch.training.checkpoints import CHECKPOINT, GAINS, LOG, WEIGHTS, TrainState, save_state
from arm_batch.training.config import TrainConfig
from arm_batch.training.data import CropSampler, Pair, downscale
from arm_batch.training.degradation import MARGIN
from arm_batch.training.trainer import Progress, train
from arm_batch.training.validation import Group

CONFIG = TrainConfig(widths=(16, 56), steps=7, batch_size=2, crop_px=8, bf16_steps=2, seed=3)
REPORT_EVERY = 2


class InterruptedRunError(Exception):
    """What the operator's kill looks like to the trainer."""


def fresh(seed: int = 0) -> Supernet:
    torch.manual_seed(seed)
    return Supernet(get_backbone("fsrcnn"), 2)


def sampler(crop_px: int = 8) -> CropSampler:
    ramp = np.linspace(0, 255, 40 * 48 * 3).reshape(40, 48, 3)
    noise = np.random.default_rng(0).normal(0, 20, ramp.shape)
    hr = (ramp + noise).clip(0, 255).astype(np.uint8)
    return CropSampler([Pair(downscale(hr, 2), hr)], crop_px, 2)


def validation() -> list[Group]:
    return [Group("ramps", "clean", sampler().sample(np.random.default_rng(9), 2))]


def run(
    supernet: Supernet,
    out: Path,
    config: TrainConfig = CONFIG,
    stop_after: int | None = None,
    killed: bool = False,
) -> list[Progress]:
    reports: list[Progress] = []

    def report(progress: Progress) -> None:
        reports.append(progress)
        if progress.step == stop_after:
            if killed:
                os.kill(os.getpid(), signal.SIGKILL)
            raise InterruptedRunError

    # Rounding depends on the number of threads, and processes that tests start have their own.
    torch.set_num_threads(1)
    crops = sampler()
    train(supernet, config, crops, validation(), out, report, REPORT_EVERY)
    return reports


def log_of(folder: Path) -> list[dict[str, str]]:
    """The log without its only column that may differ between equal runs."""
    with (folder / LOG).open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["seconds"]
    return rows


def same_weights(a: Supernet, b: Supernet) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("stop_after", [2, 4, 6])
@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, optimizer="adam", strategy="distil"),
        replace(CONFIG, loss="l2", color_jitter=True, dead_leaves=0.5),
        replace(CONFIG, steps_per_draw=3),
    ],
)
def test_an_interrupted_run_ends_as_an_undisturbed_one(
    tmp_path: Path, stop_after: int, config: TrainConfig
) -> None:
    undisturbed = fresh()
    reports = run(undisturbed, tmp_path / "whole", config)
    with pytest.raises(InterruptedRunError):
        run(fresh(), tmp_path / "parts", config, stop_after=stop_after)
    assert not (tmp_path / "parts" / WEIGHTS).exists()
    # Other initial weights: the checkpoint decides.
    resumed = fresh(seed=1)
    run(resumed, tmp_path / "parts", config)
    assert same_weights(resumed, undisturbed)
    assert log_of(tmp_path / "parts") == log_of(tmp_path / "whole")
    gains = [(tmp_path / run / GAINS).read_text() for run in ("parts", "whole")]
    assert gains[0] == gains[1]
    assert gains[0].count("\n") == 1 + 4 * len(config.widths)
    assert [r.step for r in reports] == [2, 4, 6, 7]
    weights = [tmp_path / run / WEIGHTS for run in ("parts", "whole")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_subnets_of_several_depths_may_come_first_and_after_a_resume(tmp_path: Path, seed: int) -> None:
    # Under seeds 2 and 3 the first step runs fewer blocks than the second.
    config = replace(CONFIG, widths=(16, 24, 32), sampling_power=1.0, steps=12, seed=seed)
    undisturbed, stopped = (Supernet(get_backbone("deep"), 2) for _ in range(2))
    stopped.load_state_dict(undisturbed.state_dict())
    run(undisturbed, tmp_path / "whole", config)
    with pytest.raises(InterruptedRunError):
        run(stopped, tmp_path / "parts", config, stop_after=6)
    run(stopped, tmp_path / "parts", config)
    assert same_weights(stopped, undisturbed)


def test_a_run_that_is_asked_to_stop_ends_at_a_checkpoint_and_continues(tmp_path: Path) -> None:
    undisturbed = fresh()
    run(undisturbed, tmp_path / "whole")
    crops = sampler()
    asked = iter([False, True])
    with pytest.raises(StoppedError, match="stopped at step 4 of 7"):
        train(
            *(fresh(), CONFIG, crops, validation(), tmp_path / "parts"),
            lambda _: None,
            REPORT_EVERY,
            lambda: next(asked),
        )
    resumed = fresh(seed=1)
    run(resumed, tmp_path / "parts")
    assert same_weights(resumed, undisturbed)
    assert log_of(tmp_path / "parts") == log_of(tmp_path / "whole")


@pytest.mark.slow
def test_a_run_killed_by_the_system_continues_to_the_same_curve(tmp_path: Path) -> None:
    config = replace(CONFIG, steps=40)
    run(fresh(), tmp_path / "whole", config)
    process = multiprocessing.get_context("spawn").Process(
        target=run, args=(fresh(), tmp_path / "parts", config, 20, True), daemon=True
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / "parts" / CHECKPOINT).exists()
    assert not (tmp_path / "parts" / WEIGHTS).exists()
    run(fresh(), tmp_path / "parts", config)
    assert log_of(tmp_path / "parts") == log_of(tmp_path / "whole")
    weights = [tmp_path / run / WEIGHTS for run in ("parts", "whole")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_kill_between_log_and_checkpoint_leaves_no_line_twice_or_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(fresh(), tmp_path / "whole")
    save = save_state

    def save_until_step_4(path: Path, state: TrainState, config: TrainConfig) -> None:
        if state.step == 4:
            raise InterruptedRunError
        save(path, state, config)

    monkeypatch.setattr(train_module, "save_state", save_until_step_4)
    with pytest.raises(InterruptedRunError):
        run(fresh(), tmp_path / "parts")
    monkeypatch.undo()
    run(fresh(), tmp_path / "parts")
    assert log_of(tmp_path / "parts") == log_of(tmp_path / "whole")


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    first = fresh()
    run(first, tmp_path)
    before = (tmp_path / WEIGHTS).read_bytes(), log_of(tmp_path)
    assert run(fresh(seed=1), tmp_path) == []
    assert ((tmp_path / WEIGHTS).read_bytes(), log_of(tmp_path)) == before


def test_training_learns_and_writes_loadable_weights(tmp_path: Path) -> None:
    supernet = fresh()
    reports = run(supernet, tmp_path, replace(CONFIG, steps=60, batch_size=4, bf16_steps=0))
    first, last = reports[0], reports[-1]
    assert last.loss < first.loss
    assert all(last.validated.psnr_db[w] > first.validated.psnr_db[w] for w in CONFIG.widths)
    loaded = load_supernet(tmp_path / WEIGHTS, get_backbone("fsrcnn"), 2)
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x, 16), supernet(x, 16), atol=5e-3, rtol=5e-3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": 8}, r"steps 7 \(asked for: 8\)"),
        ({"widths": (16, 36)}, r"widths \(16, 56\)"),
        ({"seed": 4, "batch_size": 3}, "batch_size 2 .*seed 3"),
    ],
)
def test_another_configuration_on_the_same_folder_is_refused(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(InterruptedRunError):
        run(fresh(), tmp_path, stop_after=2)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(LadderError, match=told):
        run(fresh(), tmp_path, replace(CONFIG, **change))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("change", [{"color_jitter": True}, {"dead_leaves": 0.5}, {"loss": "l2"}])
def test_changed_crops_and_another_loss_change_training_and_not_validation(
    tmp_path: Path, change: dict[str, bool] | dict[str, float] | dict[str, str]
) -> None:
    config = replace(CONFIG, learning_rate=0, final_learning_rate=0)
    natural = run(fresh(), tmp_path / "natural", config)
    varied = run(fresh(), tmp_path / "varied", replace(config, **change))
    assert all(a.loss != b.loss for a, b in zip(natural, varied, strict=True))
    assert [r.validated.psnr_db for r in natural] == [r.validated.psnr_db for r in varied]


@pytest.mark.slow
def test_students_do_not_drag_their_teacher_away(tmp_path: Path) -> None:
    config = replace(CONFIG, widths=(16, 36, 56), steps=100, batch_size=4, bf16_steps=0, strategy="distil")
    reports = run(fresh(), tmp_path, replace(config, learning_rate=2e-3))
    first, last = reports[0], reports[-1]
    assert last.loss < first.loss
    assert all(last.validated.psnr_db[w] > first.validated.psnr_db[w] for w in config.widths)


def test_another_backbone_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError):
        run(fresh(), tmp_path, stop_after=2)
    with pytest.raises(LadderError, match=r"backbone fsrcnn \(asked for: srresnet\)"):
        run(Supernet(get_backbone("srresnet"), 2), tmp_path, replace(CONFIG, widths=(36,)))


def poison_at(monkeypatch: pytest.MonkeyPatch, step: int, gradients_only: bool) -> None:
    """Make one training step go wrong: a loss that is not a number, or a finite one with broken gradients."""
    original = train_module._Steps.take

    def take(steps: train_module._Steps) -> torch.Tensor:
        loss = original(steps)
        state = steps._state
        if state.step - 1 != step:
            return loss
        with torch.no_grad():
            next(state.averaged.parameters()).fill_(math.nan)
        return loss if gradients_only else torch.tensor(math.nan)

    monkeypatch.setattr(train_module._Steps, "take", take)


@pytest.mark.parametrize(("step", "gradients_only"), [(2, False), (3, False), (3, True)])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, gradients_only: bool
) -> None:
    with pytest.raises(InterruptedRunError):
        run(fresh(), tmp_path, stop_after=2)
    before, log = (tmp_path / CHECKPOINT).read_bytes(), log_of(tmp_path)
    poison_at(monkeypatch, step, gradients_only)
    with pytest.raises(TrainingError, match="not finite at step 4"):
        run(fresh(), tmp_path)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert log_of(tmp_path) == log
    assert not (tmp_path / WEIGHTS).exists()
    monkeypatch.undo()
    # What was kept is good to go on from.
    assert run(fresh(), tmp_path)[-1].step == CONFIG.steps


@pytest.mark.parametrize("content", [b"no checkpoint", b""])
def test_a_damaged_checkpoint_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(LadderError, match="not a readable checkpoint"):
        run(fresh(), tmp_path)
    assert (tmp_path / CHECKPOINT).read_bytes() == content


def test_weights_in_place_of_a_checkpoint_are_refused(tmp_path: Path) -> None:
    torch.save(fresh().net.state_dict(), tmp_path / CHECKPOINT)
    with pytest.raises(LadderError, match="not a training checkpoint"):
        run(fresh(), tmp_path)


def test_the_averaged_weights_follow_the_trained_ones() -> None:
    state = TrainState(supernet=fresh(), averaged=fresh(seed=1), optimizers=(), step=10_000)
    before = [p.clone() for p in state.averaged.parameters()]
    train_module._average(state, 0.9)
    for old, new, current in zip(before, state.averaged.parameters(), state.supernet.parameters(), strict=True):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * current)
    train_module._average(state, 0.0)
    assert same_weights(state.averaged, state.supernet)


def test_images_too_small_for_a_crop_are_a_training_error() -> None:
    with pytest.raises(TrainingError, match="smaller than one crop"):
        sampler(crop_px=64)


def test_the_end_of_a_run_may_be_moved_while_its_learning_rate_stays(tmp_path: Path) -> None:
    late = replace(CONFIG, decay_steps=2, bf16_steps=1000)
    longer = replace(late, steps=60)
    undisturbed, moved = fresh(), fresh()
    run(undisturbed, tmp_path / "whole", late)
    with pytest.raises(InterruptedRunError):
        run(moved, tmp_path / "parts", longer, stop_after=4)
    run(moved, tmp_path / "parts", late)
    assert same_weights(moved, undisturbed)
    with pytest.raises(LadderError, match=r"steps 7 \(asked for: 60\)"):
        run(fresh(), tmp_path / "parts", longer)


def test_a_checkpoint_without_a_younger_setting_has_its_default(tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError):
        run(fresh(), tmp_path, stop_after=2)
    document = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    for name in ("degrade", "clean_share", "decay_steps"):
        del document["config"][name]
    torch.save(document, tmp_path / CHECKPOINT)
    with pytest.raises(LadderError, match=r"degrade none \(asked for: mild\)"):
        run(fresh(), tmp_path, replace(CONFIG, degrade="mild"))
    assert run(fresh(), tmp_path)[-1].step == CONFIG.steps


def test_degraded_crops_change_training_and_are_the_same_after_a_resume(tmp_path: Path) -> None:
    config = replace(CONFIG, degrade="archive", clean_share=0.5, batch_size=4)
    large = sampler(8 + MARGIN)
    undisturbed, stopped, clean = fresh(), fresh(), fresh()
    train(undisturbed, config, large, validation(), tmp_path / "whole", lambda _: None, REPORT_EVERY)
    train(clean, replace(config, degrade="none"), large, validation(), tmp_path / "clean", lambda _: None)
    answers = iter([True])
    with pytest.raises(StoppedError):
        train(
            *(stopped, config, large, validation(), tmp_path / "parts"),
            lambda _: None,
            REPORT_EVERY,
            lambda: next(answers),
        )
    train(stopped, config, large, validation(), tmp_path / "parts", lambda _: None, REPORT_EVERY)
    assert same_weights(stopped, undisturbed)
    assert not same_weights(clean, undisturbed)
