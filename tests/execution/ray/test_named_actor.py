"""An actor that is found or started by its name, on a head that does not always do as it is told."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ray.exceptions import RaySystemError

from arm_batch.errors import ArmBatchError
from arm_batch.execution.ray.named_actor import REVIVALS, NamedActor

ACTOR = object()


class Cancelled(NamedActor[object]):
    """Its start is given up so many times before it works."""

    def __init__(self, times: int) -> None:
        self.starts = 0
        self.times = times
        super().__init__("the name", object())

    def _start(self, **options: Any) -> Any:
        assert options["name"] == "the name"
        assert options["get_if_exists"]
        self.starts += 1
        if self.starts <= self.times:
            raise RaySystemError("Actor creation cancelled.")
        return ACTOR


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that would have been waited."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


def test_a_start_that_is_given_up_is_tried_again(waits: list[float]) -> None:
    made = Cancelled(2)
    assert made._actor is ACTOR
    assert (made.starts, waits) == (3, [0.1, 0.2])


def test_one_that_never_works_ends_in_one_line(waits: list[float]) -> None:
    with pytest.raises(ArmBatchError, match=r"the actor the name cannot be started: .*cancelled") as raised:
        Cancelled(1000)
    assert "\n" not in str(raised.value)
    assert len(waits) == REVIVALS
