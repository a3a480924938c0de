"""What Prometheus finds at Ray's exporter after a run, and what the dashboard and the documentation ask for."""

from __future__ import annotations

import json
import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from arm_batch import pipeline
from arm_batch.execution.ray import metrics
from arm_batch.execution.ray.metrics import PREFIX
from tests.archives import job, make_messy_archive, silent

ROOT = Path(__file__).parents[3]
LINE = re.compile(r"^ray_(arm_batch_\w+)\{(.*)\} ([\d.e+-]+)$", re.M)
SOURCE = Path(metrics.__file__).read_text()
NAMES = {
    PREFIX + name
    for name in re.findall(r'\("(\w+)", "[A-Z]|_(?:counter|gauge)\("(\w+)"', SOURCE)
    for name in name
    if name
}


@pytest.fixture(scope="module")
def exporter() -> Iterator[str]:
    """A local Ray; URL of where its node exports metrics."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray.init(address="local", num_cpus=2, include_dashboard=False, _metrics_export_port=port, log_to_driver=False)
    yield f"http://127.0.0.1:{port}/metrics"
    ray.shutdown()


def scraped(url: str) -> dict[tuple[str, str], float]:
    """Values by name and the tag that is not the run's."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    text = opener.open(url, timeout=10).read().decode()
    found = {}
    for name, tags, value in LINE.findall(text):
        known = dict(re.findall(r'(\w+)="([^"]*)"', tags))
        tag = next((known[key] for key in ("status", "rung", "reason", "stage", "kind") if known.get(key)), "")
        found[name, tag] = float(value)
    return found


@pytest.mark.slow
def test_a_run_is_told_to_prometheus(exporter: str, tmp_path: Path) -> None:
    archive = make_messy_archive(tmp_path / "in")
    summary = pipeline.upscale(job(archive, tmp_path / "out", executor="ray", shard_images=2), silent)
    # Workers report every few seconds.
    for _ in range(120):
        found = scraped(exporter)
        if found.get(("arm_batch_images_total", "ok")) == 3 and ("arm_batch_spent_flops", "") in found:
            break
        time.sleep(0.5)
    assert found["arm_batch_images_total", "failed"] == summary.failed == 3
    for name, tiles in summary.subnet_tiles.items():
        assert found.get(("arm_batch_tiles_total", name), 0) == tiles
    flops = sum(value for (name, _), value in found.items() if name == "arm_batch_flops_total")
    assert flops == pytest.approx(summary.spent_flops)
    assert found["arm_batch_spent_flops", ""] == pytest.approx(summary.spent_flops)
    assert found["arm_batch_budget_flops", ""] == pytest.approx(summary.budget_flops)
    assert found["arm_batch_plan_failures_total", "empty file"] == 1
    assert {name for name, _ in found} <= NAMES


def test_every_metric_is_documented_and_every_query_asks_for_one() -> None:
    told = (ROOT / "docs" / "operations.md").read_text()
    assert [name for name in sorted(NAMES) if f"`{name}`" not in told] == []
    dashboard = json.loads((ROOT / "cluster" / "grafana-dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name for query in queries for name in re.findall(r"ray_(arm_batch_\w+)", query)}
    assert asked <= NAMES
    assert len(asked) >= 8
