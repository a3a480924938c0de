"""Training: the same steps whether or not it was interrupted."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from arm_batch.errors import LadderError, TrainingError
from arm_batch.nets import train as train_module
from arm_batch.nets.checkpoint import load_supernet
from arm_batch.nets.data import CropSampler, Pair, downscale
from arm_batch.nets.registry import get_backbone
from arm_batch.nets.slimmable import Supernet
from arm_batch.nets.train import (
    CHECKPOINT,
    LOG,
    WEIGHTS,
    Progress,
    TrainConfig,
    learning_rate,
    sampling_chances,
    train,
)

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


def run(
    supernet: Supernet, out: Path, config: TrainConfig = CONFIG, stop_after: int | None = None
) -> list[Progress]:
    reports: list[Progress] = []

    def report(progress: Progress) -> None:
        reports.append(progress)
        if progress.step == stop_after:
            raise InterruptedRunError

    crops = sampler()
    validation = crops.sample(np.random.default_rng(9), 2)
    train(supernet, config, crops, validation, out, report, REPORT_EVERY)
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
def test_an_interrupted_run_ends_as_an_undisturbed_one(tmp_path, stop_after):
    undisturbed = fresh()
    reports = run(undisturbed, tmp_path / "whole")
    with pytest.raises(InterruptedRunError):
        run(fresh(), tmp_path / "parts", stop_after=stop_after)
    assert not (tmp_path / "parts" / WEIGHTS).exists()
    # Other initial weights: the checkpoint decides.
    resumed = fresh(seed=1)
    run(resumed, tmp_path / "parts")
    assert same_weights(resumed, undisturbed)
    assert log_of(tmp_path / "parts") == log_of(tmp_path / "whole")
    assert [r.step for r in reports] == [2, 4, 6, 7]
    weights = [tmp_path / run / WEIGHTS for run in ("parts", "whole")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_kill_between_log_and_checkpoint_leaves_no_line_twice_or_missing(tmp_path, monkeypatch):
    run(fresh(), tmp_path / "whole")
    save = train_module.save_checkpoint

    def save_until_step_4(path: Path, state: dict[str, object]) -> None:
        if state["step"] == 4:
            raise InterruptedRunError
        save(path, state)

    monkeypatch.setattr(train_module, "save_checkpoint", save_until_step_4)
    with pytest.raises(InterruptedRunError):
        run(fresh(), tmp_path / "parts")
    monkeypatch.undo()
    run(fresh(), tmp_path / "parts")
    assert log_of(tmp_path / "parts") == log_of(tmp_path / "whole")


def test_a_finished_run_is_left_as_it_is(tmp_path):
    first = fresh()
    run(first, tmp_path)
    before = (tmp_path / WEIGHTS).read_bytes(), log_of(tmp_path)
    assert run(fresh(seed=1), tmp_path) == []
    assert ((tmp_path / WEIGHTS).read_bytes(), log_of(tmp_path)) == before


def test_training_learns_and_writes_loadable_weights(tmp_path):
    supernet = fresh()
    reports = run(supernet, tmp_path, replace(CONFIG, steps=60, batch_size=4, bf16_steps=0))
    first, last = reports[0], reports[-1]
    assert last.loss < first.loss
    assert all(last.validation_psnr_db[w] > first.validation_psnr_db[w] for w in CONFIG.widths)
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
def test_another_configuration_on_the_same_folder_is_refused(tmp_path, change, told):
    with pytest.raises(InterruptedRunError):
        run(fresh(), tmp_path, stop_after=2)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(LadderError, match=told):
        run(fresh(), tmp_path, replace(CONFIG, **change))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_another_backbone_on_the_same_folder_is_refused(tmp_path):
    with pytest.raises(InterruptedRunError):
        run(fresh(), tmp_path, stop_after=2)
    with pytest.raises(LadderError, match=r"backbone fsrcnn \(asked for: srresnet\)"):
        run(Supernet(get_backbone("srresnet"), 2), tmp_path, replace(CONFIG, widths=(36,)))


def poison_at(monkeypatch: pytest.MonkeyPatch, step: int, gradients_only: bool) -> None:
    """Make one training step go wrong: a loss that is not a number, or a finite one with broken gradients."""
    original = train_module._train_step

    def train_step(supernet, optimizer, config, crops, chances, current):
        loss = original(supernet, optimizer, config, crops, chances, current)
        if current != step:
            return loss
        with torch.no_grad():
            next(supernet.parameters()).fill_(math.nan)
        return loss if gradients_only else math.nan

    monkeypatch.setattr(train_module, "_train_step", train_step)


@pytest.mark.parametrize(("step", "gradients_only"), [(2, False), (3, False), (3, True)])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tmp_path, monkeypatch, step, gradients_only):
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


def test_images_too_small_for_a_crop_are_a_training_error():
    with pytest.raises(TrainingError, match="smaller than one crop"):
        sampler(crop_px=64)


def test_costly_subnets_are_drawn_more_often():
    supernet = fresh()
    costs = np.array([supernet.flops(w, 8, 8).executed for w in CONFIG.widths], float)
    np.testing.assert_allclose(sampling_chances(supernet, CONFIG), costs**2 / (costs**2).sum())
    np.testing.assert_allclose(sampling_chances(supernet, replace(CONFIG, sampling_power=0)), 0.5)


def test_the_learning_rate_falls_along_half_a_cosine():
    config = replace(CONFIG, steps=100)
    rates = [learning_rate(config, s) for s in range(101)]
    assert rates[0] == config.learning_rate
    assert rates[50] == pytest.approx((config.learning_rate + config.final_learning_rate) / 2)
    assert rates[100] == pytest.approx(config.final_learning_rate)
    assert rates == sorted(rates, reverse=True)
