"""The actors that hold the ladder: started, handed batches, replaced when they die, joined when nodes come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import ray

from arm_batch.errors import ArmBatchError
from arm_batch.runtime.ray_actors import UpscaleActor
from arm_batch.runtime.ray_faults import TRIES, Ref, WorkerLostError, get
from arm_batch.runtime.ray_tasks import SHARE_OF_A_CORE

CALLS_PER_ACTOR = 2
"""One running and one waiting, so that an actor never idles between calls."""

LOOK_EVERY_S = 10.0
"""How often to look whether nodes have joined."""


@dataclass(eq=False)
class Worker:
    """One actor.

    Attributes:
        actor: its handle.
        device: ``cpu`` or ``cuda``.
        starting: resolves when it has found a place in the cluster; None from then on.
        calls: under way.
    """

    actor: Any
    device: str
    starting: Ref | None
    calls: int = field(default=0)


class ActorPool:
    """Actors on every core and GPU of the cluster, as far as it has room for them at the moment.

    Args:
        workers: CPU actors; ``None`` for one per core, also of nodes that join later.
    """

    def __init__(self, workers: int | None) -> None:
        self._wanted = workers
        self._workers: list[Worker] = []
        self._looked = 0.0
        self._died_starting = 0
        self.grow()

    @property
    def cores(self) -> int:
        """Of the cluster, as last looked."""
        return self._cores

    def grow(self) -> None:
        """Start the actors that the cluster has room for and that are not there yet."""
        if time.monotonic() - self._looked < LOOK_EVERY_S:
            return
        self._looked = time.monotonic()
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        self._cores = max(1, int(resources.get("CPU", 1)))
        for device, number in (("cpu", self._wanted or self._cores), ("cuda", int(resources.get("GPU", 0)))):
            there = sum(worker.device == device for worker in self._workers)
            self._workers += [self._start(device) for _ in range(number - there)]

    def starting(self) -> dict[Ref, Worker]:
        """The actors that wait for their place, by what tells that they have one."""
        return {worker.starting: worker for worker in self._workers if worker.starting is not None}

    def started(self, worker: Worker) -> None:
        """Take an actor whose reference in `starting` has resolved into service.

        Raises:
            ArmBatchError: actors keep dying before they have started.
        """
        try:
            get(worker.starting)
        except WorkerLostError as error:
            self._died_starting += 1
            if self._died_starting >= TRIES:
                raise ArmBatchError(f"the workers die while they start: {error}") from error
            self.replace(worker)
        else:
            worker.starting = None
            self._died_starting = 0

    def ready(self) -> int:
        """How many actors are in service."""
        return sum(worker.starting is None for worker in self._workers)

    def with_room(self) -> Iterator[Worker]:
        """Actors that can take another call, those with fewest first; asked anew after each."""
        for depth in range(CALLS_PER_ACTOR):
            for worker in self._workers:
                if worker.starting is None and worker.calls <= depth:
                    yield worker

    def replace(self, worker: Worker) -> None:
        """Put another in the place of an actor that died, unless that was done."""
        if worker in self._workers:
            self._workers[self._workers.index(worker)] = self._start(worker.device)

    def close(self) -> None:
        """End the actors."""
        for worker in self._workers:
            ray.kill(worker.actor)

    def _start(self, device: str) -> Worker:
        if device == "cuda":
            actor = UpscaleActor.options(num_cpus=0, num_gpus=1).remote(device)  # type: ignore[attr-defined]
        else:
            # More actors than cores share what the actors of one per core would take, so that tasks find room.
            share = SHARE_OF_A_CORE * min(1, self._cores / (self._wanted or self._cores))
            actor = UpscaleActor.options(num_cpus=share).remote(device)  # type: ignore[attr-defined]
        return Worker(actor, device, actor.ready.remote())
