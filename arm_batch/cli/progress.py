"""How far a run has come, on stderr: live on a terminal, without one a line now and then, or a line of JSON.

Runs tell only when something is done. So a thread of its own writes, and nobody takes a long shard for a dead run.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from arm_batch.core.allocation.budget import human_flops
from arm_batch.core.json_records import to_builtins
from arm_batch.core.progress import Progress, Stage

Log = Literal["auto", "text", "json"]
"""``auto``: live on a terminal, else ``text``."""

EVERY_S = 30.0
"""Between two lines."""

_STAGES: dict[Stage, str] = {"list": "listing", "start": "starting", "plan": "planning", "run": "upscaling"}
_BAR = 40


@contextmanager
def progress_shown(log: Log, quiet: bool, every_s: float = EVERY_S) -> Iterator[Callable[[Progress], None]]:
    """What a run is to tell its progress to while the block runs.

    Args:
        log: how it is shown.
        quiet: whether it is not.
        every_s: between two lines.
    """
    watch, console = Watch(), Console(stderr=True)
    if quiet:
        yield watch.note
    elif log == "auto" and console.is_terminal:
        with Live(console=console, get_renderable=lambda: _live(watch.now()), refresh_per_second=4):
            yield watch.note
    else:
        write = _json_line if log == "json" else progress_line
        with _lines(watch, lambda progress: console.file.write(write(progress) + "\n"), every_s):
            yield watch.note
        last = watch.now()
        if log == "json" and last is not None:
            console.file.write(_json_line(last) + "\n")
        console.file.flush()


class Watch:
    """The last that was told, and what it comes to now.

    Args:
        now_s: wall seconds since some moment.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._told: tuple[Progress, float] | None = None

    def note(self, progress: Progress) -> None:
        """Take up what a run tells."""
        self._told = progress, self._now_s()

    def now(self) -> Progress | None:
        """How far it is now; None before anything was told."""
        if self._told is None:
            return None
        progress, told_s = self._told
        return progress.after(self._now_s() - told_s)


def progress_line(progress: Progress) -> str:
    """One line for a log.

    >>> from arm_batch.core.progress import *
    >>> begun = apply(ProgressState(), Entered("run", "g0000", 4, 100), 10.0)
    >>> half = apply(begun, Done(shards=2, images=50, tiles=400, flops=3 * 10**9), 20.0)
    >>> told = apply(apply(half, Allocated(800, 6 * 10**9), 20.0), Gained(0.5), 20.0)
    >>> progress_line(snapshot(told, 20.0))
    'upscaling: 50 of 100 images, 40 tiles/s, 3.00 GFLOP of 6.00 GFLOP, +0.50 dB gained, 0:00:20, 0:00:10 left'
    """
    return f"{_STAGES[progress.stage]}: {', '.join([*_counts(progress), *_speeds(progress)])}"


def _json_line(progress: Progress) -> str:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"time": at, "event": "progress", **to_builtins(progress)})


def _live(progress: Progress | None) -> Group | Text:
    if progress is None:
        return Text("")
    bar = ProgressBar(total=max(progress.images, 1), completed=progress.images_done, width=_BAR)
    row = Table.grid(padding=(0, 1))
    row.add_row(f"{_STAGES[progress.stage]:>9}", bar, ", ".join(_counts(progress)))
    return Group(row, Text(" " * 10 + ", ".join(_speeds(progress)), style="dim"))


def _counts(progress: Progress) -> list[str]:
    if not progress.images:
        return []
    failed = [f"{progress.images_failed:,} failed"] if progress.images_failed else []
    return [f"{progress.images_done:,} of {progress.images:,} images", *failed]


def _speeds(progress: Progress) -> list[str]:
    told = []
    if progress.tiles_per_second is not None:
        told.append(f"{_figure(progress.tiles_per_second)} tiles/s")
    if progress.budget_flops is not None:
        told.append(f"{human_flops(progress.spent_flops)} of {human_flops(progress.budget_flops)}")
    if progress.gain_db is not None:
        told.append(f"{progress.gain_db:+.2f} dB gained")
    told += [f"{number:,} {kind}" for kind, number in progress.workers.items()]
    told.append(clock(progress.seconds))
    if progress.eta_seconds:
        told.append(f"{clock(progress.eta_seconds)} left")
    return told


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def clock(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> clock(3723.4)
    '1:02:03'
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


@contextmanager
def _lines(watch: Watch, write: Callable[[Progress], object], every_s: float) -> Iterator[None]:
    """Write what is known so often while the block runs."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(every_s):
            progress = watch.now()
            if progress is not None:
                write(progress)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
