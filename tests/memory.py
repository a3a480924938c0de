"""What a piece of code takes of memory, counted and not timed."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def peak_of_memory() -> Iterator[Callable[[], int]]:
    """Tells, after the block, the most bytes that Python and numpy held at once within it."""
    peak = 0
    tracemalloc.start()
    try:
        yield lambda: peak
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
