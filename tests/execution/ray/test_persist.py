"""How often something is tried that takes what it runs on down."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import ray
from ray.exceptions import NodeDiedError, RayError, WorkerCrashedError

from arm_batch.execution.ray.faults import NODES, TRIES, persist

WORKER, NODE = WorkerCrashedError(), NodeDiedError("its node is gone")


@pytest.mark.parametrize(
    ("ends", "works"),
    [
        ([], True),
        ([WORKER] * (TRIES - 1), True),
        ([WORKER] * TRIES, False),
        ([NODE] * (NODES - 1), True),
        ([NODE] * NODES, False),
        ([NODE] * (NODES - 1) + [WORKER] * (TRIES - 1), True),
        ([WORKER, NODE, WORKER, NODE, WORKER], False),
    ],
)
def test_nodes_that_go_are_not_held_against_an_image_as_workers_are(
    monkeypatch: pytest.MonkeyPatch, ends: Sequence[RayError], works: bool
) -> None:
    left, tries = iter(ends), 0

    def submit() -> str:
        nonlocal tries
        tries += 1
        return f"try {tries}"

    def get(ref: str) -> str:
        error = next(left, None)
        if error is not None:
            raise error
        return ref

    monkeypatch.setattr(ray, "get", get)
    ref, error = persist(submit)
    assert (error is None) == works
    assert ref == f"try {len(ends) + works}"
    assert works or f"({len(ends)} tries)" in str(error)
