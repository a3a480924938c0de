"""Asking work to end before it is complete."""

from __future__ import annotations

from collections.abc import Callable

Stop = Callable[[], bool]
"""Asked between steps: whether somebody wants the work to end."""


def never() -> bool:
    """A `Stop` that never asks for it."""
    return False
