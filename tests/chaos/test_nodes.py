"""A cluster that loses its nodes one after the other: the run completes, with the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pyarrow as pa
import pytest
from ray.cluster_utils import Cluster

from tests.archives import job, replanned
from tests.chaos.runs import SHARD_IMAGES, assert_as_undisturbed, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


EVERY_S = 4.0
"""Between two nodes that go, at least: on a busy machine the run has to get on meanwhile, too."""


def _still_runs(driver: BaseProcess, output: Path) -> bool:
    """Whether it does after a while, in which it has kept a plan or committed something."""
    before = _count(output)
    driver.join(EVERY_S)
    while driver.is_alive() and _count(output) == before:
        driver.join(EVERY_S / 10)
    return driver.is_alive()


def _count(output: Path) -> int:
    return len([*output.glob("plan/*/shards/*"), *output.glob("commits/*/*")])


def test_nodes_that_go(
    archive: Path, tmp_path: Path, reference: pa.Table, scale: Callable[[int, int], int]
) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    removed = runs = 0
    try:
        while removed < scale(3, 40):
            spec = replanned(job(archive, tmp_path / f"out-{runs}", shard_images=SHARD_IMAGES), executor="ray")
            driver = start(spec, {"RAY_ADDRESS": cluster.address})
            while _still_runs(driver, tmp_path / f"out-{runs}"):
                cluster.remove_node(nodes.pop(0), allow_graceful=False)
                removed += 1
                nodes.append(cluster.add_node(num_cpus=1))
            assert driver.exitcode == 0
            assert_as_undisturbed(spec, reference)
            runs += 1
    finally:
        cluster.shutdown()
    print(f"{removed} nodes removed during {runs} runs")
