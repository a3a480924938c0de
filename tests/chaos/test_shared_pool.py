"""Many jobs on one pool while its actor is killed: nothing is overspent, and they do what one job would."""

from __future__ import annotations

import contextlib
import itertools
import logging
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Lock

import numpy as np
import pytest
import ray
from ray.exceptions import RayError

from arm_batch.budget.quota import SharedQuota
from arm_batch.budget.quota_journal import QuotaJournal
from arm_batch.core.allocation.apportion import apportion
from arm_batch.core.allocation.histogram import N_CLASSES, ShardHistogram, cells_of, gather
from arm_batch.core.allocation.objective import solve
from arm_batch.core.prediction.metrics import psnr_of_mse
from arm_batch.core.quota.grants import Demand
from arm_batch.execution.ray.named_actor import NAMESPACE
from arm_batch.execution.ray.quota_actor import quota_actor
from arm_batch.storage.open import open_store
from tests.core.tables import COSTS, census_of, table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

JOBS = 20
PORTIONS = 4
LUT = table(30)
SHARE = 0.3
CALLS_A_KILL = 20
"""An actor answers so often on average before it is killed."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(
        address="local", num_cpus=4, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
    )
    yield
    ray.shutdown()


def draw_images(seed: int) -> list[list[np.ndarray]]:
    """The images of a job by portion, each as the bins of its tiles; jobs differ in how many and how rough."""
    rng = np.random.default_rng(seed)
    images = [
        rng.integers(0, rng.integers(1, 30), rng.integers(10, 300)) for _ in range(int(rng.integers(12, 60)))
    ]
    return [images[portion::PORTIONS] for portion in range(PORTIONS)]


def demand_of(portions: list[list[np.ndarray]]) -> Demand:
    return Demand(
        lut=LUT,
        costs=COSTS,
        portions=tuple(ShardHistogram.of(census_of("image-psnr", LUT, part)) for part in portions),
    )


def psnr_sum(tiles: np.ndarray, images: list[np.ndarray]) -> float:
    """Predicted PSNR in dB, image by image, of images that share tiles ``(n_cells, n_subnets)``; their sum."""
    entries = [np.unique(cells_of("image-psnr", LUT, bins), return_counts=True) for bins in images]
    cells, counts = (np.concatenate([entry[place] for entry in entries]) for place in (0, 1))
    shares = np.split(apportion(tiles, cells, counts), np.cumsum([len(entry[0]) for entry in entries])[:-1])
    errors = [
        (share * LUT.mse[cells % LUT.n_bins]).sum() / share.sum()
        for share, (cells, _) in zip(shares, entries, strict=True)
    ]
    return float(psnr_of_mse(np.array(errors)).sum())


def allocate(demand: Demand, portions: list[int], flops: int) -> list[np.ndarray]:
    """What a job does with its FLOPs: the tiles of each of some portions, by cell and subnet."""
    parts = [demand.portions[portion] for portion in portions]
    tiles = solve("image-psnr", LUT, gather(parts, "image-psnr", LUT), COSTS, flops).tiles
    cells, counts = (np.concatenate([getattr(part, name) for part in parts]) for name in ("cells", "tiles"))
    shares = apportion(tiles.reshape(-1, len(COSTS)), cells, counts)
    return np.split(shares, np.cumsum([len(part.cells) for part in parts])[:-1])


def run_job(url: str, job: str, demand: Demand, start: Barrier, kills: Kills) -> tuple[list[np.ndarray], int]:
    """A job without pixels, with revisions: where its grant has changed it allocates what has not begun anew.

    Returns:
        The tiles of each portion by cell and subnet, and the FLOPs that it has really spent.
    """
    pool = quota_actor(open_store(url)).calls
    pool.register(job, "image-psnr", demand)
    start.wait()
    kills.count_call()
    done = []
    spent = 0
    for portion, part in enumerate(demand.portions):
        for revision in itertools.count():
            grant = pool.grant(job)
            share = allocate(demand, list(range(portion, PORTIONS)), grant - spent)[0]
            flops = int(share.sum(axis=0) @ COSTS)
            begun = pool.begin(job, portion, flops, revision, grant)
            kills.count_call()
            if begun:
                break
        pool.settle(job, portion, flops)
        kills.count_call()
        spent += flops
        done.append(np.zeros((N_CLASSES * LUT.n_bins, len(COSTS)), np.int64))
        done[-1][part.cells] = share
    pool.leave(job)
    return done, spent


class Kills:
    """Kills the pool's actor every now and then, by how many calls it has answered."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._lock = Lock()
        self._calls = 0
        self._next = dice.uniform(0, 2 * CALLS_A_KILL)
        self.done = 0

    def count_call(self) -> None:
        """Kill if it is time; where the actor is just being replaced, the next call tries again."""
        with self._lock:
            self._calls += 1
            if self._calls >= self._next and (killed := kill_pool(self._dice)):
                self.done += killed
                self._next = self._calls + self._dice.uniform(0, 2 * CALLS_A_KILL)


def kill_pool(dice: random.Random) -> int:
    """Kill the pool's actor, half of the time so that Ray does not restart it; returns how many were killed."""
    kills = 0
    for found in ray.util.list_named_actors(all_namespaces=True):
        if found["namespace"] == NAMESPACE and found["name"].startswith("quota-"):
            # It may have gone by itself since it was listed.
            with contextlib.suppress(ValueError, RayError):
                ray.kill(ray.get_actor(**found), no_restart=dice.random() < 0.5)
                kills += 1
    return kills


@pytest.mark.usefixtures("cluster")
def test_twenty_jobs_and_an_actor_that_dies(tmp_path: Path) -> None:
    images = {f"job-{seed:02}": draw_images(seed) for seed in range(JOBS)}
    demands = {job: demand_of(portions) for job, portions in images.items()}
    together = gather([part for d in demands.values() for part in d.portions], "image-psnr", LUT)
    total = int(together.tiles.sum() * (1 + SHARE * 99))
    store = open_store(str(tmp_path / "pool"))
    QuotaJournal(store).create("pool", total)
    start, kills = Barrier(JOBS), Kills(random.Random(1))
    with ThreadPoolExecutor(JOBS) as threads:
        running = [
            threads.submit(run_job, store.url, job, demand, start, kills) for job, demand in demands.items()
        ]
    results = [job.result() for job in running]
    state = SharedQuota(store).state()
    spent = sum(flops for _, flops in results)
    assert kills.done >= 5
    assert spent == state.spent == state.granted <= total

    everything = [bins for portions in images.values() for part in portions for bins in part]
    floor, one = (
        psnr_sum(solve("image-psnr", LUT, together, COSTS, flops).tiles.reshape(-1, len(COSTS)), everything)
        for flops in (int(together.tiles.sum()), total)
    )
    many = sum(
        psnr_sum(tiles, part)
        for portions, (done, _) in zip(images.values(), results, strict=True)
        for part, tiles in zip(portions, done, strict=True)
    )
    gains = [(reached - floor) / len(everything) for reached in (many, one)]
    print(f"{kills.done} kills; spent {spent / total:.5%}; gain {gains[0]:.5f} dB, of one job {gains[1]:.5f} dB")
    assert gains[0] >= 0.999 * gains[1]
