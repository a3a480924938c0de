"""A named actor whose state can be read back from a store, seen from one of its callers."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any

import ray
from ray.exceptions import RaySystemError

from arm_batch.errors import ArmBatchError
from arm_batch.execution.ray.faults import WorkerLostError, get

NAMESPACE = "arm_batch"

REVIVALS = 10
FIRST_WAIT_S = 0.1
"""Doubled each time: some 100 s in all, for a node that has to come back, or a busy head that is slow to notice
that an owner has gone."""


class NamedActor(ABC):
    """Calls an actor; where it is lost for good, puts another in its place, which reads the store.

    Ray restarts the actor while its owner lives. The owner is the process that came first: when that one is done
    or killed, other callers find the actor gone. Each method of the actor may be repeated without further effect.

    Args:
        name: of the actor; every caller with the same name finds the same one.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._actor = self._find()

    def close(self) -> None:
        """End the actor."""
        ray.kill(self._actor)

    @abstractmethod
    def _start(self, **options: Any) -> Any:
        """The actor with Ray's `options`: a new one, or that which has the name."""

    def _call(self, method: str, *arguments: object) -> Any:
        for attempt in range(REVIVALS):
            try:
                return get(getattr(self._actor, method).remote(*arguments))
            except WorkerLostError as error:
                if not error.actor_died:
                    raise
            time.sleep(FIRST_WAIT_S * 2**attempt)
            self._actor = self._find()
        raise ArmBatchError(f"the actor {self._name} cannot be brought back")

    def _find(self) -> Any:
        for attempt in range(REVIVALS):
            try:
                return self._start(name=self._name, namespace=NAMESPACE, get_if_exists=True)
            except RaySystemError as error:
                # A busy head may give up ("Actor creation cancelled") what works a moment later.
                told = error
            time.sleep(FIRST_WAIT_S * 2**attempt)
        raise ArmBatchError(f"the actor {self._name} cannot be started: {told}")
