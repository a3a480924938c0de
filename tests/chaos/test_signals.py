"""Ctrl-C and SIGTERM to the real command: it stops in order, says how to go on, and goes on when started again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from arm_batch.cli import exit_codes
from arm_batch.runstate.commit import listed
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.verify import verify_store
from arm_batch.storage.local import LocalStore
from tests.archives import draw, write_png

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


SIGNALLED = """
import os, sys
from contextlib import contextmanager
from arm_batch import cli
from arm_batch.cli import upscale

number, *arguments = sys.argv[1:]
sent = []

def progress(at):
    if at.stage == "run" and at.shards_done and not sent:
        sent.append(at)
        os.kill(os.getpid(), int(number))

@contextmanager
def told(log, quiet):
    yield progress

upscale.progress_shown = told
cli.main(arguments)
"""
"""The command, which gets a signal as soon as a shard is done: from outside it might come too late."""


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
    options = ["upscale", str(many), str(output), "--ladder", "fsrcnn-x4", "--executor", executor]
    options += ["--budget", "50%"]
    command = [sys.executable, "-c", SIGNALLED, str(int(number)), *options]
    stopped = subprocess.run(command, capture_output=True, text=True, check=False)
    store = LocalStore(str(output))
    assert stopped.returncode == exit_codes.UNDONE, stopped.stderr
    assert "run the same command again to go on" in stopped.stderr
    assert 0 < len(listed(store)) < 12
    command = [sys.executable, "-m", "arm_batch", *options]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    found = verify_store(store, list_generations(store))
    assert (found.problems, found.images, found.left) == ((), 12 * 32, 0)
