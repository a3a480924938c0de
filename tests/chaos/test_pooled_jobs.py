"""Whole jobs on one pool whose drivers are killed: nothing is overspent, and they do what one job would."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from arm_batch import pipeline
from arm_batch.budget.quota import SharedQuota
from arm_batch.budget.quota_journal import QuotaJournal
from arm_batch.errors import StoppedError
from arm_batch.models.ladder_files import load_ladder
from arm_batch.runstate.commit import committed, listed
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.verify import verify_store
from arm_batch.spec import JobSpec
from arm_batch.storage.open import open_store
from tests.archives import LADDER, draw, job, silent, write_png
from tests.chaos.runs import KILLED, rows, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

IMAGES = 16
"""Of a job, one in a shard."""

SHARE = 0.25


def make_archives(folder: Path, jobs: int) -> Path:
    """A folder for each job, and `all` with all their images; jobs differ in how rough and large theirs are."""
    for number in range(jobs):
        dice = np.random.default_rng(number)
        for image in range(IMAGES):
            pixels = draw(
                1000 * number + image, int(dice.integers(20, 60)), int(dice.integers(20, 60 + 5 * number))
            )
            name = f"job-{number:02}/{image:02}.png"
            write_png(folder / name, pixels // (1 + number % 3) + 20)
            (folder / "all" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / name, folder / "all" / name)
    return folder


def plan_only(spec: JobSpec) -> None:
    """Come to the pool and stop before anything begins."""
    stages: list[str] = []
    with pytest.raises(StoppedError):
        pipeline.upscale(spec, lambda progress: stages.append(progress.stage), lambda: "run" in stages)


def run_and_kill(specs: list[JobSpec], at_once: int, dice: random.Random) -> int:
    """Run jobs to their end, some at a time, and kill each after a few shards; returns how often."""
    kills = 0
    left = list(specs)
    while left:
        drivers = [(spec, start(spec)) for spec in dice.sample(left, min(at_once, len(left)))]
        last = {spec.output: done_of(spec) + dice.randint(1, IMAGES // 2) for spec, _ in drivers}
        while any(driver.is_alive() for _, driver in drivers):
            for spec, driver in drivers:
                driver.join(0.01)
                if done_of(spec) >= last[spec.output]:
                    driver.kill()
        for spec, driver in drivers:
            assert driver.exitcode in (0, KILLED)
            kills += driver.exitcode == KILLED
            if driver.exitcode == 0:
                left.remove(spec)
    return kills


def done_of(spec: JobSpec) -> int:
    return len(listed(open_store(spec.output)))


def predicted(*outputs: Path) -> float:
    """Mean over the images of what they are predicted to reach, in dB."""
    told = [value for output in outputs for value in rows(str(output))["psnr_predicted_db"].to_pylist()]
    return float(np.mean(told))


def test_whole_jobs_whose_drivers_die(tmp_path: Path, scale: Callable[[int, int], int]) -> None:
    jobs, dice = scale(5, 20), random.Random(1)
    archives = make_archives(tmp_path / "in", jobs)
    costs = load_ladder(LADDER).ladder.costs
    full = pipeline.upscale(job(archives / "all", tmp_path / "full"), silent).full_flops
    total = int(SHARE * full)
    one = job(archives / "all", tmp_path / "one", budget=f"{total}FLOP")
    least = job(archives / "all", tmp_path / "least", budget=f"{full // int(costs[-1]) * int(costs[0])}FLOP")
    for spec in (one, least):
        pipeline.upscale(spec, silent)
    store = open_store(str(tmp_path / "pool"))
    QuotaJournal(store).create("p", total)
    outputs = [tmp_path / f"out-{number:02}" for number in range(jobs)]
    specs = [
        job(archives / f"job-{number:02}", output, budget=f"pool:{tmp_path / 'pool'}", shard_images=1)
        for number, output in enumerate(outputs)
    ]
    for spec in specs:
        plan_only(spec)
    kills = run_and_kill(specs, 4, dice)
    state = SharedQuota(store).state()
    spends = [sum(c.flops for c in committed(open_store(str(output))).values()) for output in outputs]
    problems = [verify_store(s, list_generations(s)).problems for s in (open_store(str(o)) for o in outputs)]
    assert problems == [()] * jobs
    assert sum(spends) == state.spent == state.granted <= total
    floor, reached, alone = predicted(tmp_path / "least"), predicted(*outputs), predicted(tmp_path / "one")
    print(
        f"{kills} kills; spent {state.spent / total:.4%}; gain {reached - floor:.5f} dB, "
        f"of one job {alone - floor:.5f} dB"
    )
    assert kills >= jobs
    assert reached - floor >= 0.999 * (alone - floor)
