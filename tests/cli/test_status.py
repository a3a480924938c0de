"""What `status` tells of generations and attempts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from arm_batch.cli.status import status_lines
from arm_batch.core.attempts import Attempt, Node
from arm_batch.core.progress import Done, Entered, ProgressState, apply, snapshot

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUNNING = snapshot(
    apply(apply(ProgressState(), Entered("run", "g0000", 4, 100), 0.0), Done(shards=2, images=50), 60.0), 60.0
)
ATTEMPT = Attempt(
    attempt="a" * 32,
    command="arm-batch upscale in out",
    executor="ray",
    ran="on Ray",
    nodes=(Node("head", 8, 0, None), Node("worker", 16, 2, "H100")),
    started=BEGAN.isoformat(),
    heard=(BEGAN + timedelta(seconds=60)).isoformat(),
    seconds=60.0,
    outcome="running",
    progress=RUNNING,
)


@pytest.mark.parametrize(
    ("changes", "later", "told"),
    [
        ({}, 70, "now      upscaling: 50 of 100 images, 0:01:10, 0:00:50 left"),
        ({}, 500, "silent   for 0:07:20: it was killed, or is busy with something large"),
        ({"outcome": "done", "seconds": 3700.0}, 500, "done     after 1:01:40"),
        ({"outcome": "stopped"}, 500, "stopped  after 0:01:00"),
    ],
)
def test_an_attempt_is_told_as_it_stands(changes: dict[str, Any], later: int, told: str) -> None:
    attempt = structs.replace(ATTEMPT, **changes)
    lines = status_lines([], [attempt], BEGAN + timedelta(seconds=later))
    assert lines[0] == "begun 2026-03-01 12:00:00 UTC, ray: arm-batch upscale in out"
    assert lines[1] == "  nodes    head (8 cores), worker (16 cores, 2 GPUs)"
    assert lines[2] == f"  {told}"
