"""One object in one place of the cluster, called from anywhere: the named actor that holds it, and its proxy."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar, cast

import ray
from ray.exceptions import RaySystemError

from arm_batch.errors import ArmBatchError
from arm_batch.execution.ray.faults import WorkerLostError, get

NAMESPACE = "arm_batch"

REVIVALS = 10
FIRST_WAIT_S = 0.1
"""Doubled each time: some 100 s in all, for a node that has to come back, or a busy head that is slow to notice
that an owner has gone."""

Held = TypeVar("Held")


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class HolderActor:
    """Holds an object. After a restart it holds a copy as it was in the beginning, which reads the store."""

    def __init__(self, held: object) -> None:
        self._held = held

    def call(self, method: str, *arguments: object) -> object:
        """What a method of the object answers."""
        return getattr(self._held, method)(*arguments)


class NamedActor(Generic[Held]):
    """An object in an actor; where that is lost for good, another is put in its place, with a copy of the object.

    Ray restarts the actor while its owner lives. The owner is the process that came first: when that one is done
    or killed, other callers find the actor gone. So the object keeps nothing that it cannot read back from a
    store, and each of its methods may be repeated without further effect.

    Args:
        name: of the actor; every caller with the same name finds the same one.
        held: the object as it is before anything was asked of it. Its type says which methods `calls` has: those
            of a protocol whose arguments go by position.
    """

    def __init__(self, name: str, held: Held) -> None:
        self._name = name
        self._held = held
        self._actor = self._find()

    @property
    def calls(self) -> Held:
        """The object as its callers see it; may be sent to other processes."""
        return cast(Held, _Calls(self._call))

    def close(self) -> None:
        """End the actor."""
        ray.kill(self._actor)

    def _start(self, **options: Any) -> Any:
        """The actor with Ray's `options`: a new one, or that which has the name."""
        return HolderActor.options(**options).remote(self._held)  # type: ignore[attr-defined]

    def _call(self, method: str, *arguments: object) -> Any:
        for attempt in range(REVIVALS):
            try:
                return get(self._actor.call.remote(method, *arguments))
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


class _Calls:
    """Has every public method there is: the type that `NamedActor.calls` gives it says which."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        return partial(self._call, method)
