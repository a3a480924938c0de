"""Telling how far a run has come to whoever listens."""

from __future__ import annotations

from collections.abc import Callable

from arm_batch.core.progress import Event, Progress, ProgressState, apply, snapshot
from arm_batch.pipeline.clock import Clock

Tell = Callable[[Progress], None]
"""A listener: called in the thread that drives the run, so it must not take long."""


class Telling:
    """Keeps the state of a run's progress, and tells it after each event.

    Args:
        clock: of the attempt.
        tell: the first listener.
    """

    def __init__(self, clock: Clock, tell: Tell) -> None:
        self._clock = clock
        self._listeners = [tell]
        self._state = ProgressState()

    def also(self, tell: Tell) -> None:
        """Tell another listener from now on."""
        self._listeners.append(tell)

    @property
    def now(self) -> Progress:
        """How far the run is."""
        return snapshot(self._state, self._clock.now)

    def __call__(self, *events: Event) -> None:
        """Take up events of this moment, and tell what they come to."""
        for event in events:
            self._state = apply(self._state, event, self._clock.now)
        told = self.now
        for tell in self._listeners:
            tell(told)
