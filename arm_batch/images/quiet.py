"""Silencing warnings where several threads may be at work."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_users = 0
_filters = warnings.catch_warnings()


@contextmanager
def no_warnings() -> Iterator[None]:
    """Silence warnings; unlike `warnings.catch_warnings`, also where several threads decode at once.

    The first to enter sets the filter, the last to leave restores what was.
    """
    global _users, _filters
    with _lock:
        if _users == 0:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.simplefilter("ignore")
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _filters.__exit__(None, None, None)
