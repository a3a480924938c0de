"""Ctrl-C and SIGTERM to the real command: it stops in order, says how to go on, and goes on when started again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arm_batch.cli import exit_codes
from arm_batch.store.commit import listed
from arm_batch.store.generation import list_generations
from arm_batch.store.local import LocalStore
from arm_batch.store.verify import verify_store
from tests.archives import draw, write_png

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough images for a dozen shards of the usual size."""
    folder = tmp_path_factory.mktemp("many")
    for seed in range(12 * 32):
        write_png(folder / f"{seed:03d}.png", draw(seed % 40, 60, 60))
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_a_signal(many: Path, tmp_path: Path, executor: str, number: signal.Signals) -> None:
    output = tmp_path / "out"
    command = [sys.executable, "-m", "arm_batch.cli", "upscale", str(many), str(output)]
    command += ["--executor", executor, "--budget", "50%"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    store = LocalStore(str(output))
    while not listed(store) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(number)
    asked = time.monotonic()
    _, err = process.communicate(timeout=60)
    print(f"{executor}, {number.name}: ended {time.monotonic() - asked:.1f} s later")
    assert process.returncode == exit_codes.UNDONE, err
    assert "run the same command again to go on" in err
    assert 0 < len(listed(store)) < 12
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    found = verify_store(store, list_generations(store))
    assert (found.problems, found.images, found.left) == ((), 12 * 32, 0)
