"""Ctrl-C and SIGTERM: the first asks a run to stop in order, the second ends it at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from arm_batch.cli import exit_codes

SIGNALS = (signal.SIGINT, signal.SIGTERM)

GRACE_S = 10.0
"""What a run in this process gets to come to a place where it can stop."""


@contextmanager
def stop_signals(grace_s: float | None = None) -> Iterator[Callable[[], bool]]:
    """While the block runs, the first signal only makes the function that it yields say True.

    Args:
        grace_s: seconds after the signal in which the block must end, else the process does, as undone: it may be
            stuck in a read that never comes, and whatever is killed loses nothing. None: it may take its time.
    """
    asked = False
    noticed, ended = threading.Event(), threading.Event()
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        del number, frame
        asked = True
        for each, handler in before.items():
            signal.signal(each, handler)
        noticed.set()

    def watch(seconds: float) -> None:
        noticed.wait()
        if not ended.wait(seconds):
            _give_up()

    for number in SIGNALS:
        signal.signal(number, ask)
    if grace_s is not None:
        # Started now, as the signal may come while this thread holds what starting another takes.
        threading.Thread(target=watch, args=(grace_s,), daemon=True).start()
    try:
        yield lambda: asked
    finally:
        ended.set()
        noticed.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _give_up() -> None:
    told = "stopped, and what was under way is given up; nothing is lost: run the same command again to go on"
    sys.stderr.write(f"\narm-batch: {told}\n")
    sys.stderr.flush()
    os._exit(exit_codes.UNDONE)
