"""Wall time by stage."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


class Clock:
    """Adds up the seconds spent in each stage; one stage at a time.

    Attributes:
        started: the moment from which it counts, for people; what passes is taken from a clock that nobody sets.
        seconds: by stage.
    """

    def __init__(self) -> None:
        self.started = datetime.now(UTC)
        self._started = time.monotonic()
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @property
    def now(self) -> float:
        """Wall seconds since there is this clock."""
        return time.monotonic() - self._started

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Count the block towards `stage`."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] += time.monotonic() - started
