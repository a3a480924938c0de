"""What is shown while a run goes on: live, in lines, in lines of JSON, or not at all."""

from __future__ import annotations

import io
import json
import sys
import threading
from typing import Any

import pytest
from rich.console import Console

from arm_batch.cli import progress as shown
from arm_batch.cli.progress import Watch, progress_line, progress_shown
from arm_batch.core.progress import Allocated, Done, Entered, Manned, Progress, ProgressState, apply, snapshot


def half_way() -> Progress:
    state = apply(ProgressState(), Entered("run", "g0000", 4, 1000), 0.0)
    state = apply(state, Allocated(8000, 10**12), 0.0)
    state = apply(state, Manned({"cpu": 4, "gpu": 1}), 0.0)
    return snapshot(apply(state, Done(shards=2, images=500, failed=3, tiles=4000, flops=4 * 10**11), 100.0), 100.0)


class Stderr(io.StringIO):
    """Takes lines, and says when there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, text: str) -> int:
        """See `io.StringIO`."""
        count = super().write(text)
        self.written.set()
        return count


def test_a_line_tells_counts_speed_spend_workers_and_what_is_left() -> None:
    told = "upscaling: 500 of 1,000 images, 3 failed, 40 tiles/s, 400.00 GFLOP of 1.00 TFLOP, 4 cpu, 1 gpu"
    assert progress_line(half_way()) == f"{told}, 0:01:40, 0:01:40 left"


def test_before_anything_is_known_a_line_tells_the_time() -> None:
    assert progress_line(snapshot(ProgressState(), 3.0)) == "listing: 0:00:03"


@pytest.mark.parametrize(("log", "quiet"), [("text", True), ("json", True), ("auto", True)])
def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str], log: Any, quiet: bool) -> None:
    with progress_shown(log, quiet) as tell:
        tell(half_way())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("log", ["auto", "text", "json"])
def test_without_a_terminal_lines_come_now_and_then(monkeypatch: pytest.MonkeyPatch, log: Any) -> None:
    written = Stderr()
    monkeypatch.setattr(sys, "stderr", written)
    with progress_shown(log, False, every_s=0.01) as tell:
        assert not written.written.is_set()
        tell(half_way())
        assert written.written.wait(60)
    line = written.getvalue().splitlines()[0]
    assert "500 of 1,000 images" in line if log != "json" else json.loads(line)["images_done"] == 500


def test_json_ends_with_the_last_that_was_told(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_shown("json", False) as tell:
        tell(snapshot(ProgressState(), 1.0))
        tell(half_way())
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    found = json.loads(line)
    assert out == ""
    assert (found["event"], found["stage"], found["spent_flops"]) == ("progress", "run", 4 * 10**11)
    assert found["time"].endswith("+00:00")
    assert found.keys() == {"time", "event", *Progress.__struct_fields__}


def test_a_terminal_shows_it_live(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=120)
    monkeypatch.setattr(shown, "Console", lambda **_: console)
    with progress_shown("auto", False) as tell:
        tell(half_way())
    assert "500 of 1,000 images, 3 failed" in terminal.getvalue()
    assert "40 tiles/s, 400.00 GFLOP of 1.00 TFLOP" in terminal.getvalue()


def test_what_is_watched_grows_older() -> None:
    now = 5.0
    watch = Watch(lambda: now)
    assert watch.now() is None
    watch.note(half_way())
    now = 15.0
    told = watch.now()
    assert told is not None
    assert (told.seconds, told.eta_seconds) == (110.0, 90.0)
