"""Several processes take the steps that one would take."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from arm_batch.errors import TrainingError
from arm_batch.training.checkpoints import CHECKPOINT, GAINS, LOG, WEIGHTS
from arm_batch.training.config import TrainConfig
from arm_batch.training.distributed import Workers
from tests.training.test_trainer import CONFIG, fresh, log_of, run

# Adam, because SOAP takes the rounding in directions that are still open for gradients and makes steps of it.
EXACT = replace(CONFIG, batch_size=4, bf16_steps=0, optimizer="adam")


def take_part(rank: int, count: int, meeting: str, out: Path, config: TrainConfig) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=count)
    reports = run(fresh(), out, config)
    assert bool(reports) == (rank == 0)
    dist.destroy_process_group()


def follow_the_leader(rank: int, count: int, meeting: str, out: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=count)
    supernet = fresh(seed=rank)
    Workers.current(count).follow(supernet)
    torch.save(supernet.state_dict(), out / f"{rank}.pt")
    dist.destroy_process_group()


def average_losses(rank: int, count: int, meeting: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=count)
    supernet = fresh()
    for parameter in supernet.parameters():
        parameter.grad = torch.full_like(parameter, rank)
    loss = Workers.current(count).average(supernet, torch.tensor(float(rank)))
    assert loss == (count - 1) / 2
    assert all((p.grad == (count - 1) / 2).all() for p in supernet.parameters() if p.grad is not None)
    # The trainer keeps a thousand of them.
    assert loss.untyped_storage().nbytes() == loss.element_size()
    dist.destroy_process_group()


def run_together(count: int, out: Path, config: TrainConfig) -> None:
    out.mkdir(exist_ok=True)
    # Not in `out`, whose content is compared.
    meeting = str(out.with_suffix(f".meeting-{config.steps}"))
    spawn_all(take_part, [(rank, count, meeting, out, config) for rank in range(count)])


def spawn_all(target: Callable[..., None], arguments: Sequence[tuple[object, ...]]) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=target, args=args) for args in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)


@pytest.mark.parametrize("change", [{}, {"strategy": "sandwich"}])
def test_two_processes_train_as_one_does(tmp_path: Path, change: dict[str, Any]) -> None:
    config = replace(EXACT, **change)
    alone = fresh()
    run(alone, tmp_path / "alone", config)
    run_together(2, tmp_path / "together", config)
    assert sorted(p.name for p in (tmp_path / "together").iterdir()) == sorted([CHECKPOINT, GAINS, LOG, WEIGHTS])
    for ours, theirs in zip(log_of(tmp_path / "together"), log_of(tmp_path / "alone"), strict=True):
        assert ours.keys() == theirs.keys()
        assert [float(v) for v in ours.values()] == pytest.approx([float(v) for v in theirs.values()], rel=1e-4)
    # One process goes on where two of them ended: finished, it has nothing to do but say what they have.
    merged = fresh(seed=1)
    run(merged, tmp_path / "together", config)
    for merged_one, one in zip(merged.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(merged_one, one, rtol=1e-3, atol=1e-5)


def test_a_loss_is_averaged_with_the_gradients_and_does_not_keep_them(tmp_path: Path) -> None:
    spawn_all(average_losses, [(rank, 2, str(tmp_path / "meeting")) for rank in range(2)])


@pytest.mark.parametrize("count", [1, 2])
def test_all_get_the_weights_of_the_one_that_leads(tmp_path: Path, count: int) -> None:
    spawn_all(follow_the_leader, [(rank, count, str(tmp_path / "meeting"), tmp_path) for rank in range(count)])
    for rank in range(count):
        weights = torch.load(tmp_path / f"{rank}.pt")
        assert all(torch.equal(weights[name], value) for name, value in fresh(seed=0).state_dict().items())


def test_a_batch_that_cannot_be_shared_out_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    try:
        assert Workers.current(3) == Workers()
        monkeypatch.setattr(dist, "get_world_size", lambda: 2)
        with pytest.raises(TrainingError, match="batches of 3 crops cannot be shared out evenly among 2 workers"):
            Workers.current(3)
    finally:
        monkeypatch.undo()
        dist.destroy_process_group()


def test_shares_make_up_the_batch() -> None:
    batch = torch.arange(6)
    assert torch.equal(torch.cat([Workers(rank, 3).share(batch) for rank in range(3)]), batch)
