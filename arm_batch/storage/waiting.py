"""Telling a person what is waited for, while it is waited for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_LOOK_EVERY_S = 2.0
"""Waits that become due between two looks share a line."""

_log = logging.getLogger(__name__)


@dataclass(eq=False, kw_only=True)
class _Wait:
    where: str
    forecast: str
    after_s: float
    since: float
    told: bool = False


class Watch:
    """Tells of waits that last.

    Args:
        look_every_s: seconds between two looks of a thread that begins with the first wait; None for no thread.
    """

    def __init__(self, look_every_s: float | None) -> None:
        self._every_s = look_every_s
        self._lock = threading.Lock()
        self._waits: dict[_Wait, None] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, where: str, forecast: str, after_s: float) -> Iterator[Callable[[], None]]:
        """Tell, once, that the block lasts longer than it should, unless it calls what it gets: it has told more.

        Args:
            where: what it waits for.
            forecast: what will be if nothing comes.
            after_s: seconds.
        """
        wait = _Wait(where=where, forecast=forecast, after_s=after_s, since=time.monotonic())
        with self._lock:
            self._waits[wait] = None
            if self._every_s is not None and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._look_on, args=(self._every_s,), daemon=True)
                self._thread.start()

        def tell_no_more() -> None:
            wait.told = True

        try:
            yield tell_no_more
        finally:
            with self._lock:
                del self._waits[wait]

    def look(self, now: float) -> None:
        """Tell of all waits that have become due by `now`, in one line."""
        with self._lock:
            due = [wait for wait in self._waits if not wait.told and now - wait.since >= wait.after_s]
            for wait in due:
                wait.told = True
        if due:
            first, others = due[0], f" and {len(due) - 1} more" if due[1:] else ""
            _log.warning("%s%s: nothing for %.0f s; %s", first.where, others, now - first.since, first.forecast)

    def _look_on(self, every_s: float) -> None:
        while True:
            time.sleep(every_s)
            self.look(time.monotonic())


waits = Watch(_LOOK_EVERY_S)
"""Of this process."""
