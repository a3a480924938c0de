"""Joining a Ray cluster, or starting one for the length of a run."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError

from arm_batch.core.attempts import Node
from arm_batch.errors import ClusterError
from arm_batch.execution.ray.address import check_cluster

ENVIRONMENT = {
    # CPU actors ask for no GPU and pin their device themselves; without this Ray warns about it.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray ends workers that are idle for a second where there are more than cores, and tasks of a shard come in
    # bursts: workers that start anew and import took a sixth of all CPU time.
    "RAY_idle_worker_killing_time_threshold_ms": "60000",
}
"""What a cluster should be started with."""


_GPU_KIND = "accelerator_type:"
"""How Ray begins the resource that names what GPU a node has."""


def is_connected() -> bool:
    """Whether this process has a connection to Ray already."""
    return ray.is_initialized()


def alive_nodes() -> list[dict[str, Any]]:
    """The nodes that are alive, as Ray tells of them."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def cluster_nodes() -> tuple[Node, ...]:
    """The nodes that are alive, by name."""
    found = []
    for node in alive_nodes():
        held = node["Resources"]
        gpu = next((name.removeprefix(_GPU_KIND) for name in held if name.startswith(_GPU_KIND)), None)
        found.append(Node(node["NodeManagerHostname"], int(held.get("CPU", 0)), int(held.get("GPU", 0)), gpu))
    return tuple(sorted(found, key=lambda node: node.name))


@contextmanager
def connected() -> Iterator[None]:
    """A connection to Ray.

    One that this process has already is used and left alone. Otherwise the cluster that ``RAY_ADDRESS`` (set
    inside a submitted job) or a running ``ray start`` names is joined, else a local one is started; either
    ends with the block.

    Raises:
        ClusterError: nobody is at that address, or Ray cannot be joined or started.
    """
    if ray.is_initialized():
        yield
        return
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    handler = signal.getsignal(signal.SIGTERM)
    address = check_cluster()
    try:
        ray.init(logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError, OSError, RayError) as error:
        told = " ".join(str(error).split())
        place = "cannot be started here" if address is None else f"at {address} cannot be joined"
        raise ClusterError(f"Ray {place}: {told}") from error
    if threading.current_thread() is threading.main_thread():
        # Ray puts a handler of its own there, which ends the process on the spot.
        signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        ray.shutdown()
