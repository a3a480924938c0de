"""Training on workers of a Ray cluster."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arm_batch.errors import TrainingError, UsageError
from arm_batch.execution.ray import training
from arm_batch.execution.ray.training import train_on_ray
from arm_batch.training.checkpoints import CHECKPOINT, WEIGHTS
from arm_batch.training.config import TrainConfig
from arm_batch.training.job import TrainingJob, run_training
from arm_batch.training.trainer import Progress
from tests.archives import draw, write_png

CONFIG = TrainConfig(widths=(16, 36, 56), steps=3, batch_size=2, crop_px=8, optimizer="adam")


@pytest.fixture
def job(tmp_path: Path) -> TrainingJob:
    for seed in range(5):
        write_png(tmp_path / "photos" / f"{seed}.png", draw(seed, 260, 260))
    return TrainingJob(
        data=((tmp_path / "photos", (2,)),),
        out=tmp_path / "ray",
        backbone="fsrcnn",
        scale=2,
        config=CONFIG,
        init=None,
        body_only=False,
        device="cpu",
        threads=1,
        checkpoint_every=2,
    )


def losses(folder: Path) -> list[float]:
    lines = (folder / "training_log.csv").read_text().splitlines()[1:]
    return [float(line.split(",")[2]) for line in lines]


@pytest.mark.slow
def test_two_workers_of_a_cluster_train_as_one_process_does(job: TrainingJob, tmp_path: Path) -> None:
    train_on_ray(job, 2)
    assert (job.out / WEIGHTS).is_file()
    alone = replace(job, out=tmp_path / "alone")
    run_training(alone, lambda _: None, lambda _: None)
    assert losses(job.out) == pytest.approx(losses(alone.out), rel=1e-4)
    assert len(losses(job.out)) == 2


@pytest.mark.slow
def test_a_lost_worker_is_replaced_and_the_run_ends_as_undisturbed(
    job: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = replace(job, config=replace(CONFIG, steps=60), checkpoint_every=20)
    monkeypatch.setattr(training, "_take_part", take_part_and_die_once)
    train_on_ray(job, 1)
    assert died(job).exists()
    alone = replace(job, out=tmp_path / "alone")
    run_training(alone, lambda _: None, lambda _: None)
    assert losses(job.out) == losses(alone.out)


def died(job: TrainingJob) -> Path:
    """A file that is there once a worker has died."""
    return job.out.parent / "died"


def take_part_and_die_once(options: dict[str, TrainingJob]) -> None:
    """What a worker does that is lost behind its first checkpoint; the one in its place is not."""
    job = options["job"]

    def tell(progress: Progress) -> None:
        if progress.step == 2 * job.checkpoint_every and not died(job).exists():
            assert (job.out / CHECKPOINT).exists()
            died(job).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    run_training(job, tell, print)


@pytest.mark.slow
def test_what_stops_a_worker_is_told_once_and_nothing_is_overwritten(
    job: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []
    trainer = training._trainer

    def noted(*given: Any) -> Any:
        attempts.append(given)
        return trainer(*given)

    monkeypatch.setattr(training, "_trainer", noted)
    job.out.mkdir()
    (job.out / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(UsageError, match="not a readable checkpoint"):
        train_on_ray(job, 1)
    assert [p.name for p in job.out.iterdir()] == [CHECKPOINT]
    assert (job.out / CHECKPOINT).read_bytes() == b"not a checkpoint"
    assert len(attempts) == 1


def test_workers_must_divide_the_batch(job: TrainingJob) -> None:
    with pytest.raises(TrainingError, match="batches of 2 crops cannot be shared out evenly among 3 workers"):
        train_on_ray(job, 3)
