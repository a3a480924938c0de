"""What can go wrong between the driver and its workers, and which of it is worth another try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import NodeDiedError, RayActorError, RayError, RayTaskError

from arm_batch.errors import ArmBatchError

Ref = Any
"""A ``ray.ObjectRef``."""

TRIES = 3
"""How often a shard, and then each of its images alone, may take its worker down before it is given up."""

NODES = 10
"""How many nodes an image alone may lose: nodes go for reasons of their own, and that it ends each is unlikely."""


class WorkerLostError(Exception):
    """A task or an actor's call ended without a result of its own: its process, its node or its input is gone.

    Also whatever a stage did not expect to happen, out of memory included: one image must not end a job.
    """

    @property
    def actor_died(self) -> bool:
        """Whether the actor that was called is no more."""
        return isinstance(self.__cause__, RayActorError)

    @property
    def node_died(self) -> bool:
        """Whether it went with its node, and so perhaps through no fault of its own."""
        return isinstance(self.__cause__, NodeDiedError)


def get(ref: Ref) -> Any:
    """``ray.get``, with this package's own errors as they were raised remotely, the rest as `WorkerLostError`."""
    try:
        return ray.get(ref)
    except RayTaskError as error:
        if isinstance(error.cause, ArmBatchError):
            raise error.cause from None
        raise WorkerLostError(_told(error.cause)) from error
    except RayError as error:
        raise WorkerLostError(_told(error)) from error


def persist(submit: Callable[[], Ref]) -> tuple[Ref, str | None]:
    """Submit until it works, as long as it takes no more than `TRIES` workers, or `NODES` nodes, down.

    Returns:
        The first reference, of those that `submit` returns, of the last try; and why it did not work, None where
        it did.
    """
    workers = nodes = 0
    while True:
        ref = submit()
        try:
            get(ref[0] if isinstance(ref, list) else ref)
        except WorkerLostError as error:
            nodes += error.node_died
            workers += not error.node_died
            if workers == TRIES or nodes == NODES:
                return ref, f"takes its worker down ({workers + nodes} tries): {error}"
        else:
            return ref, None


def _told(error: BaseException | None) -> str:
    """The first sentence of what Ray has to say, which may be pages."""
    line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {line[:160]}"
