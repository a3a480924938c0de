"""Telling how far a run has come to whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce

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

    def after(self, *events: Event) -> Progress:
        """What would be told after events of this moment."""
        return snapshot(self._applied(events), self._clock.now)

    def _applied(self, events: Iterable[Event]) -> ProgressState:
        now = self._clock.now
        return reduce(lambda state, event: apply(state, event, now), events, self._state)

    def __call__(self, *events: Event) -> None:
        """Take up events of this moment, and tell what they come to."""
        self._state = self._applied(events)
        told = self.now
        for tell in self._listeners:
            tell(told)
