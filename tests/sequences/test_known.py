"""Sequences that once lost or falsified something, step by step: that the machine sees what they are about."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arm_batch.cli import exit_codes
from tests.sequences.commands import run_verify
from tests.sequences.inputs import BROKEN, CONTENTS, SOUND
from tests.sequences.machine import Sequences
from tests.sequences.mortal import Driver

pytestmark = pytest.mark.slow

UNCOUNTED = ("run.json", "attempts/")
"""What no run goes by, and tells when it was written."""

SOUND_8, SOUND_16, OTHER_16, GONE = 0, 2, 3, CONTENTS.index(BROKEN[1])


@pytest.fixture(params=[False, True], ids=["local", "s3"])
def machine(request: pytest.FixtureRequest) -> Iterator[Sequences]:
    """A machine with four images, of which the second is broken, in two shards."""
    machine = Sequences()
    images = [("a.png", SOUND_16), ("b.png", GONE), ("d/c.png", OTHER_16), ("d/e.png", SOUND_8)]
    machine.begin(request.param, 0, False, False, images)
    yield machine
    machine.teardown()


def damage(machine: Sequences, name: str, kind: str) -> None:
    """Damage the file of OUTPUT that a name is part of."""
    (place,) = (place for place, key in enumerate(machine.oracle.output.names()) if name in key)
    machine.damage((place + 0.5) / len(machine.oracle.output.names()), kind, 0.5)


def put(machine: Sequences, name: str, number: int) -> None:
    """Put an image into INPUT."""
    machine.oracle.inputs.put(name, CONTENTS[number])


def upscale(machine: Sequences, at: int = 0, **flags: Any) -> None:
    """Run; with `at`, until the write of this number."""
    if at:
        machine.upscale_and_end("20%", flags, at, "before")
    else:
        machine.upscale("20%", flags)


def until(machine: Sequences, key: str, **flags: Any) -> None:
    """Kill runs after more and more writes, until a file is there."""
    for at in range(1, 30):
        if key not in machine.oracle.output.names():
            machine.upscale_and_end("20%", flags, at, "after")
    assert key in machine.oracle.output.names()


def with_a_retry(machine: Sequences) -> None:
    """A run, and what has failed in it done again from a sound file."""
    upscale(machine)
    put(machine, "b.png", SOUND_16)
    upscale(machine, retry_failed=True)


def test_repair_beside_an_image_that_was_tried_again(machine: Sequences) -> None:
    with_a_retry(machine)
    damage(machine, "images/a.png", "flip")
    upscale(machine, repair=True)
    assert sorted(machine.last.sound) == ["a.png", "b.png", "d/c.png", "d/e.png"]


def test_repair_of_a_shard_whose_other_source_has_changed(machine: Sequences) -> None:
    with_a_retry(machine)
    damage(machine, "images/a.png", "flip")
    put(machine, "a.png", OTHER_16)
    upscale(machine, repair=True)
    assert {"b.png", "d/c.png", "d/e.png"} <= set(machine.last.sound)


@pytest.mark.parametrize("at", range(11, 20))
def test_an_added_budget_after_a_kill(machine: Sequences, at: int) -> None:
    upscale(machine, at)
    upscale(machine, add_budget="70%")
    upscale(machine)
    assert sorted(machine.last.sound) == ["a.png", "d/c.png", "d/e.png"]


@pytest.mark.parametrize("at", range(11, 20))
def test_a_source_that_is_replaced_after_a_kill(machine: Sequences, at: int) -> None:
    upscale(machine, at)
    for name in ("a.png", "d/c.png"):
        machine.oracle.inputs.put(name, SOUND[4])
    upscale(machine, retry_failed=True)
    assert sorted(machine.last.sound) == ["a.png", "d/c.png", "d/e.png"]


def test_a_hole_among_generations(machine: Sequences) -> None:
    upscale(machine)
    for name in ("f.png", "g.png"):
        put(machine, name, SOUND_16)
        upscale(machine, extend=True)
    damage(machine, "plan/g0001/generation.json", "remove")
    upscale(machine, repair=True)
    assert len(machine.last.sound) == 5


@pytest.mark.parametrize("kind", ["flip", "truncate", "empty", "remove"])
def test_the_plan_of_a_shard_with_a_retry(machine: Sequences, kind: str) -> None:
    with_a_retry(machine)
    damage(machine, "plan/g0000/shards/000000", kind)
    upscale(machine, repair=True)
    assert len(machine.last.sound) == 4


def test_the_plan_of_a_shard_that_was_done_again_after_its_retry(machine: Sequences) -> None:
    with_a_retry(machine)
    damage(machine, "commits/g0000/000000.json", "truncate")
    upscale(machine, repair=True)
    damage(machine, "plan/g0000/shards/000000.parquet", "truncate")
    upscale(machine, repair=True)
    assert run_verify(machine.oracle.settings).code == 0


@pytest.mark.parametrize("at", range(1, 7))
def test_a_stop_while_a_lost_plan_is_made_again(machine: Sequences, at: int) -> None:
    upscale(machine)
    put(machine, "b.png", SOUND_16)
    damage(machine, "plan/g0000/shards/000000", "remove")
    machine.upscale_and_end("20%", {"repair": True, "retry_failed": True}, at, "term")
    upscale(machine, repair=True, retry_failed=True)
    assert len(machine.last.sound) == 4


def test_a_shard_done_again_after_its_retry_of_which_more_fails_now(machine: Sequences) -> None:
    with_a_retry(machine)
    damage(machine, "commits/g0000/000000", "remove")
    put(machine, "a.png", OTHER_16)
    upscale(machine, repair=True)
    assert sorted(machine.last.failed) == ["a.png"]


@pytest.mark.parametrize("name", ["commits/g0000/000000", "data/part-g0000-000000"])
def test_a_shard_whose_rows_cannot_be_told_stays_where_a_source_has_changed(machine: Sequences, name: str) -> None:
    put(machine, "b.png", SOUND_16)
    upscale(machine)
    whole = machine.last.tree
    damage(machine, name, "truncate")
    put(machine, "a.png", OTHER_16)
    ended = machine._upscale("20%", {"repair": True}, Driver())
    assert ended.code == exit_codes.USAGE
    assert "a.png is gone or has changed, and would be lost by doing it again" in ended.error
    (damaged,) = (key for key in whole if name in key)
    machine.oracle.output.write(damaged, whole[damaged])
    upscale(machine)
    assert sorted(machine.last.sound) == ["a.png", "b.png", "d/c.png", "d/e.png"]


def test_a_record_that_cannot_be_read_is_made_again_where_what_has_changed_had_failed(machine: Sequences) -> None:
    upscale(machine)
    damage(machine, "commits/g0000/000000", "truncate")
    put(machine, "b.png", SOUND_16)
    upscale(machine, repair=True)
    assert sorted(machine.last.sound) == ["a.png", "d/c.png", "d/e.png"]


def test_a_retry_without_its_record_and_the_failed_rows_that_it_replaced(machine: Sequences) -> None:
    with_a_retry(machine)
    damage(machine, "commits/g0001/000000", "remove")
    assert machine.last.verified != 0
    upscale(machine)
    assert machine.last.verified == 0
    assert sorted(machine.last.sound) == ["a.png", "b.png", "d/c.png", "d/e.png"]


def test_a_manifest_is_missed_only_as_long_as_all_is_committed(machine: Sequences) -> None:
    upscale(machine)
    damage(machine, "commits/g0000/000001", "flip")
    damage(machine, "manifest.json", "truncate")
    for name in ("a.png", "b.png", "d/c.png", "d/e.png"):
        machine.oracle.inputs.remove(name)
    upscale(machine, repair=True)
    assert machine.last.verified != 0


def test_a_driver_whom_a_retry_has_overtaken_tells_of_what_it_has_counted(machine: Sequences) -> None:
    upscale(machine)
    put(machine, "b.png", SOUND_16)
    machine.two_drivers("20%", {}, 1, {"retry_failed": True}, 0, "before", 0)
    assert machine.last.failed == {}


@pytest.mark.parametrize("at", range(1, 12))
def test_a_driver_that_adds_to_the_budget_while_another_finishes(machine: Sequences, at: int) -> None:
    upscale(machine, 14)
    machine.two_drivers("20%", {"add_budget": "70%"}, at, {}, 0, "before", 0)
    upscale(machine)
    assert sorted(machine.last.sound) == ["a.png", "d/c.png", "d/e.png"]


@pytest.mark.parametrize("at", range(1, 15))
def test_two_drivers_that_try_again(machine: Sequences, at: int) -> None:
    upscale(machine)
    machine.two_drivers("20%", {"retry_failed": True}, at, {"retry_failed": True}, 0, "before", 0)
    assert machine.last.verified == 0


def test_the_newest_allocation_is_missed(machine: Sequences) -> None:
    upscale(machine, 14)
    upscale(machine, add_budget="70%")
    damage(machine, "plan/g0000/epoch-0001.json", "remove")
    assert machine.last.verified != 0
    upscale(machine, repair=True)
    assert machine.last.verified != 0


def test_a_plan_about_other_inputs_is_made_again(machine: Sequences) -> None:
    upscale(machine)
    put(machine, "b.png", SOUND_16)
    upscale(machine, retry_failed=True)
    output = machine.oracle.output
    key = "plan/g0001/shards/000000.parquet"
    table = pq.read_table(pa.BufferReader(output.read(key) or b""))
    buffer = io.BytesIO()
    pq.write_table(
        table.set_column(table.schema.get_field_index("origin"), "origin", pa.nulls(1, pa.string())), buffer
    )
    output.write(key, buffer.getvalue())
    assert run_verify(machine.oracle.settings).code == exit_codes.UNDONE
    upscale(machine, repair=True)
    assert machine.last.verified == 0
    assert pq.read_table(pa.BufferReader(output.read(key) or b"")).equals(table)


def test_what_has_to_stay_damaged_is_not_to_be_repaired_again(machine: Sequences) -> None:
    upscale(machine)
    damage(machine, "-failed.parquet", "flip")
    put(machine, "a.png", OTHER_16)
    for flags in ({"repair": True}, {"repair": True, "retry_failed": True}):
        ended = machine._upscale("20%", flags, Driver())
        assert ended.code == exit_codes.USAGE
        assert "stays damaged" in ended.error
        assert "`arm-batch upscale ... --repair` does it again; it stays" in ended.error


@pytest.mark.parametrize("at", range(1, 30))
def test_no_manifest_while_another_generation_is_unfinished(machine: Sequences, at: int) -> None:
    upscale(machine, 14)
    put(machine, "f.png", SOUND_16)
    machine.two_drivers("20%", {}, at, {"extend": True}, 12, "term", 0)


def test_a_shard_without_record_and_plan_whose_source_has_changed(machine: Sequences) -> None:
    upscale(machine)
    damage(machine, "plan/g0000/shards/000000", "remove")
    damage(machine, "commits/g0000/000000", "flip")
    put(machine, "a.png", OTHER_16)
    before = machine.last.tree
    upscale(machine, repair=True)
    after = machine.last.tree
    assert {key: data for key, data in after.items() if not key.startswith(UNCOUNTED)} == {
        key: data for key, data in before.items() if not key.startswith(UNCOUNTED)
    }


@pytest.mark.parametrize("machine", [False], ids=["local"], indirect=True)
def test_an_allocation_is_missed_that_others_follow(machine: Sequences) -> None:
    until(machine, "plan/g0000/allocation.json")
    until(machine, "plan/g0000/epoch-0001.json", add_budget="30%")
    damage(machine, "plan/g0000/allocation.json", "remove")
    ended = run_verify(machine.oracle.settings)
    assert ended.code == exit_codes.UNDONE
    assert "allocation.json is missing, but plan/g0000/epoch-0001.json is there" in ended.out


def test_nothing_is_taken_back_while_there_is_no_input(machine: Sequences) -> None:
    upscale(machine)
    for content in (CONTENTS.index(BROKEN[0]), GONE, SOUND_16):
        put(machine, "b.png", content)
        upscale(machine, retry_failed=True)
    assert "commits/g0003/000000.json" in machine.oracle.output.names()
    damage(machine, "commits/g0002/000000.json", "remove")
    for name in list(machine.oracle.inputs.now):
        machine.oracle.inputs.remove(name)
    before = machine.oracle.look().tree
    upscale(machine, repair=True)
    assert machine.oracle.look().tree == before
