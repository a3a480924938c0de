"""A signal ends a run that is stuck where nothing asks whether to stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from arm_batch.cli import exit_codes
from tests.archives import draw, write_png

STUCK = """
import os, sys
from arm_batch.cli.signals import stop_signals
with stop_signals({grace}) as stop:
    print("stuck", flush=True)
    os.read(0, 1)
print("asked" if stop() else "not asked", flush=True)
"""


def begin(command: Sequence[str], **environment: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, *command], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=os.environ | environment
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_what_never_comes(number: signal.Signals) -> None:
    process = begin(["-c", STUCK.format(grace=0.1)])
    assert process.stdout is not None
    assert process.stdout.readline() == "stuck\n"
    process.send_signal(number)
    assert process.wait() == exit_codes.UNDONE
    out, err = process.communicate()
    assert out == ""
    assert err.startswith(
        "\narm-batch: stopped, and what was under way is given up; nothing is lost: run the same"
    )


def test_what_ends_in_time_ends_in_order() -> None:
    process = begin(["-c", STUCK.format(grace=600)])
    assert process.stdout is not None
    assert process.stdout.readline() == "stuck\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(input="x")
    assert (process.returncode, out, err) == (0, "asked\n", "")


@pytest.mark.slow
def test_a_store_that_never_answers_is_told_of_and_can_be_stopped(tmp_path: Path) -> None:
    write_png(tmp_path / "in" / "a.png", draw(0, 20, 20))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        command = ["-m", "arm_batch", "upscale", "s3://bucket/in", str(tmp_path / "out")]
        process = begin(
            [*command, "--executor", "inline", "--endpoint-url", url],
            AWS_ACCESS_KEY_ID="testing",
            AWS_SECRET_ACCESS_KEY="testing",
            AWS_DEFAULT_REGION="us-east-1",
            NO_PROXY="127.0.0.1",
        )
        assert process.stderr is not None
        told = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate()
    assert told.startswith("s3://bucket/in: nothing for 1")
    assert told.endswith(" s; given up when there is no answer within 370 s in all\n")
    assert process.returncode == exit_codes.UNDONE
    assert "run the same command again to go on" in err
    assert "Traceback" not in err
