"""The same steps leave the same bytes."""

from __future__ import annotations

import pytest

from tests.sequences.inputs import CONTENTS
from tests.sequences.machine import Sequences

Tree = dict[str, bytes | None]


def taken(s3: bool, sink: int) -> Tree:
    """What is left of some steps, among them a death, a second driver, a large image and a damage."""
    machine = Sequences()
    try:
        machine.begin(s3, sink, True, True, [("a.png", 2), ("b.png", 10), ("d/c.png", 7), ("d/e.png", 2)])
        machine.upscale_and_end("20%", {}, 12, "torn")
        machine.two_drivers("20%", {"add_budget": "30%"}, 3, {}, 0, "before", 0)
        machine.oracle.inputs.put("b.png", CONTENTS[3])
        machine.upscale("20%", {"retry_failed": True})
        machine.damage(0.5, "flip", 0.5)
        machine.upscale("20%", {"repair": True})
        output = machine.oracle.output
        return {key: output.read(key) for key in output.names()}
    finally:
        machine.teardown()


@pytest.mark.parametrize("s3", [False, True], ids=["local", "s3"])
@pytest.mark.parametrize("sink", range(3))
def test_the_same_steps_leave_the_same_bytes(s3: bool, sink: int) -> None:
    first, second = taken(s3, sink), taken(s3, sink)
    assert first.keys() == second.keys()
    assert [key for key in first if first[key] != second[key]] == []
    assert "run.json" in first
