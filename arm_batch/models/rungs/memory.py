"""Whether something fits into the memory of this machine, asked before it is tried."""

from __future__ import annotations

import os

from arm_batch.errors import LadderError

SHARE = 0.5
"""Of the memory: what is read is copied at least once."""


def memory_bytes() -> int:
    """Of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_fits(needed: int, what: str) -> None:
    """Refuse what takes too much of it.

    Raises:
        LadderError: it does; one line.
    """
    there = memory_bytes()
    if needed > SHARE * there:
        raise LadderError(
            f"{what} takes {needed / 1e9:,.0f} GB, and this machine has {there / 1e9:,.0f} GB of memory"
        )
