"""Joining a Ray cluster, or starting one for the length of a run."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray


@contextmanager
def connected() -> Iterator[None]:
    """A connection to Ray.

    One that this process has already is used and left alone. Otherwise the cluster that ``RAY_ADDRESS`` (set
    inside a submitted job) or a running ``ray start`` names is joined, else a local one is started; either
    ends with the block.
    """
    if ray.is_initialized():
        yield
        return
    # CPU actors ask for no GPU and pin their device themselves; without this Ray warns about it.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    handler = signal.getsignal(signal.SIGTERM)
    ray.init(logging_level=logging.ERROR, include_dashboard=False)
    if threading.current_thread() is threading.main_thread():
        # Ray puts a handler of its own there, which ends the process on the spot.
        signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        ray.shutdown()
