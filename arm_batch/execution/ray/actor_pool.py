"""The actors that hold the ladder: started, handed batches, replaced when they die, joined when nodes come."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray

from arm_batch.errors import ArmBatchError
from arm_batch.execution.ray.actors import UpscaleActor
from arm_batch.execution.ray.faults import TRIES, Ref, WorkerLostError, get
from arm_batch.execution.ray.tasks import SHARE_OF_A_CORE
from arm_batch.spec import DEFAULT_ENGINE, Engine

CALLS_PER_ACTOR = 2
"""One running and one waiting, so that an actor never idles between calls."""

LOOK_EVERY_S = 10.0
"""How often to look whether nodes have joined."""


@dataclass(frozen=True)
class DeviceKind:
    """Devices that are alike to a run.

    Attributes:
        name: such as ``cpu`` or ``gpu``.
        device: what nets run on, ``cpu`` or ``cuda``.
        number: of actors; ``None`` for all that the cluster has room for, also on nodes that join later.
        threads: of an actor's nets, on CPUs.
    """

    name: str
    device: str
    number: int | None = None
    threads: int = 1


def cluster_kinds(workers: int | None) -> tuple[DeviceKind, ...]:
    """All there is in a cluster: `workers` CPU actors, ``None`` for one per core, and one actor for each GPU."""
    return DeviceKind("cpu", "cpu", workers), DeviceKind("gpu", "cuda")


@dataclass(eq=False)
class Worker:
    """One actor.

    Attributes:
        actor: its handle.
        kind: of its device.
        starting: resolves when it has found a place in the cluster; None from then on.
        calls: under way.
    """

    actor: Any
    kind: DeviceKind
    starting: Ref | None
    calls: int = field(default=0)


class ActorPool:
    """Actors on every core and GPU of the cluster, as far as it has room for them; none before the first `grow`.

    Args:
        kinds: of devices to use.
        engine: that runs nets.
    """

    def __init__(self, kinds: Sequence[DeviceKind], engine: Engine = DEFAULT_ENGINE) -> None:
        self._kinds = kinds
        self._engine = engine
        self._workers: list[Worker] = []
        self._looked = -LOOK_EVERY_S
        self._died_starting = 0
        self._any_started = False
        self._look()

    @property
    def cores(self) -> int:
        """Of the cluster, as last looked."""
        return self._cores

    @property
    def gpus(self) -> int:
        """Of the cluster, as last looked."""
        return self._gpus

    @property
    def wanted(self) -> int:
        """How many actors there are to be, as last looked."""
        return sum(self._wanted(kind) for kind in self._kinds)

    def grow(self) -> None:
        """Start the actors that the cluster has room for and that are not there yet."""
        if time.monotonic() - self._looked < LOOK_EVERY_S:
            return
        self._looked = time.monotonic()
        self._look()
        for kind in self._kinds:
            there = sum(worker.kind == kind for worker in self._workers)
            self._workers += [self._start(kind) for _ in range(self._wanted(kind) - there)]

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
            # Once one has come up, the others die with their nodes and not of themselves.
            if not self._any_started and self._died_starting >= TRIES * len(self._workers):
                raise ArmBatchError(f"the workers die while they start: {error}") from error
            self.replace(worker)
        else:
            worker.starting = None
            self._any_started = True

    def settle(self, seconds: float) -> list[Worker]:
        """Wait so long at most for actors that are starting; returns those in service, kind by kind."""
        deadline = time.monotonic() + seconds
        while starting := self.starting():
            found = ray.wait([*starting], timeout=max(0.0, deadline - time.monotonic()))[0]
            if not found:
                break
            for ref in found:
                self.started(starting[ref])
        return [w for kind in self._kinds for w in self._workers if w.kind == kind and w.starting is None]

    def ready(self) -> int:
        """How many actors are in service."""
        return sum(worker.starting is None for worker in self._workers)

    def in_service(self) -> dict[str, int]:
        """The same by the name of their kind."""
        return dict(Counter(worker.kind.name for worker in self._workers if worker.starting is None))

    def with_room(self) -> Iterator[Worker]:
        """Actors that can take another call, those with fewest first; asked anew after each."""
        for depth in range(CALLS_PER_ACTOR):
            for worker in self._workers:
                if worker.starting is None and worker.calls <= depth:
                    yield worker

    @property
    def is_mixed(self) -> bool:
        """Whether there are actors of more than one kind."""
        return len({worker.kind for worker in self._workers}) > 1

    def is_first_kind(self, worker: Worker) -> bool:
        """Whether an actor's device is of the first of the kinds, the one that the others are compared to."""
        return worker.kind == self._kinds[0]

    def replace(self, worker: Worker) -> None:
        """Put another in the place of an actor that died, unless that was done."""
        if worker in self._workers:
            self._workers[self._workers.index(worker)] = self._start(worker.kind)

    def close(self) -> None:
        """End the actors."""
        for worker in self._workers:
            ray.kill(worker.actor)

    def _look(self) -> None:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        self._cores = max(1, int(resources.get("CPU", 1)))
        self._gpus = int(resources.get("GPU", 0))

    def _wanted(self, kind: DeviceKind) -> int:
        if kind.number is not None:
            return kind.number
        return self._gpus if kind.device == "cuda" else self._cores

    def _start(self, kind: DeviceKind) -> Worker:
        if kind.device == "cuda":
            needs: dict[str, float] = {"num_cpus": 0, "num_gpus": 1}
        else:
            # More threads than cores share what those of one per core would take, so that tasks find room.
            threads = sum(self._wanted(k) * k.threads for k in self._kinds if k.device == "cpu")
            needs = {"num_cpus": SHARE_OF_A_CORE * kind.threads * min(1, self._cores / threads)}
        options = UpscaleActor.options(**needs)  # type: ignore[attr-defined]
        actor = options.remote(kind.device, kind.threads, self._engine)
        return Worker(actor, kind, actor.ready.remote())
