"""A cluster that loses its nodes one after the other: the run completes, with the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pyarrow as pa
import pytest
from ray.cluster_utils import Cluster

from tests.archives import job
from tests.chaos.runs import SHARD_IMAGES, assert_as_undisturbed, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


class Reaper(Thread):
    """Takes one node after the other out of a cluster, and puts a new one in its place."""

    def __init__(self, cluster: Cluster, every_s: float) -> None:
        super().__init__(daemon=True)
        self.cluster = cluster
        self.every_s = every_s
        self.over = Event()
        self.removed = 0

    def run(self) -> None:
        nodes = [self.cluster.add_node(num_cpus=1) for _ in range(2)]
        while not self.over.wait(self.every_s):
            self.cluster.remove_node(nodes.pop(0), allow_graceful=False)
            self.removed += 1
            nodes.append(self.cluster.add_node(num_cpus=1))


def test_nodes_that_go(
    archive: Path, tmp_path: Path, reference: pa.Table, scale: Callable[[int, int], int]
) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    reaper = Reaper(cluster, every_s=4)
    try:
        reaper.start()
        runs = 0
        while reaper.removed < scale(3, 40):
            spec = replace(job(archive, tmp_path / f"out-{runs}", shard_images=SHARD_IMAGES), executor="ray")
            driver = start(spec, {"RAY_ADDRESS": cluster.address})
            driver.join()
            assert driver.exitcode == 0
            assert_as_undisturbed(spec, reference)
            runs += 1
    finally:
        reaper.over.set()
        reaper.join()
        cluster.shutdown()
    print(f"{reaper.removed} nodes removed during {runs} runs")
