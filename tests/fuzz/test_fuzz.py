"""A short fuzzing, the same one every time; ``make fuzz`` is the long one. And that it would find something."""

from __future__ import annotations

import random
import resource
from itertools import count
from pathlib import Path

import pytest

from arm_batch.errors import ImageError
from tests.fuzz import target, worker
from tests.fuzz.mutate import mutate, with_right_checksums
from tests.fuzz.places import KEPT, NUMBER
from tests.fuzz.seeds import SEEDS
from tests.fuzz.watch import Watched, fuzz

FILES = 400
MEMORY = 2**31
LONG_S = 1000.0
"""Whatever else the machine does, no file takes so long."""


def always(_: Watched) -> bool:
    return True


def test_mutated_files_end_well(tmp_path: Path) -> None:
    watched = fuzz(tmp_path, seed=0, count=FILES, go_on=always, hang_s=LONG_S)
    assert watched.findings == []
    assert watched.done == FILES
    assert watched.ways > 50


def test_changes_follow_from_the_seed_and_change_something() -> None:
    mates = list(SEEDS.values())[:20]
    changed = [mutate(mates[0], mates, random.Random(n)) for n in range(200)]
    assert changed == [mutate(mates[0], mates, random.Random(n)) for n in range(200)]
    assert len(set(changed) - {mates[0]}) > 150
    assert all(with_right_checksums(data) == data for name, data in SEEDS.items() if name.endswith("rgb.png"))


def failing(data: bytes, _reading: object) -> None:
    if len(data) % 7 == 0:
        raise KeyError("a defect")
    raise ImageError("as usual")


def test_a_defect_is_found_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / KEPT).mkdir()
    monkeypatch.setattr(worker, "SEEDS", {"a": b"0123456789" * 9})
    monkeypatch.setattr(target, "decode", failing)
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    worker.run(tmp_path, 0, 60, 0, MEMORY)
    found = list(tmp_path.glob("defect-*.bin"))
    assert found
    assert all(len(path.read_bytes()) % 7 == 0 for path in found)
    assert "a defect" in found[0].with_suffix(".txt").read_text()


def test_what_kills_a_worker_or_makes_it_hang_is_found_and_the_next_goes_on(tmp_path: Path) -> None:
    ticks = count()

    def clock() -> float:
        """A second at each look while the worker hangs at the second file, and none else."""
        number = tmp_path / NUMBER
        return float(next(ticks)) if number.exists() and number.read_text() == "1" else 0.0

    watched = fuzz(tmp_path, 0, 3, always, worker_module="tests.fuzz.dying", hang_s=3, clock=clock)
    assert watched.findings == ["crash-0.bin", "hang-1.bin"]
    assert watched.done == 3
    assert (tmp_path / "hang-1.bin").read_bytes() == b"file 1"


def test_a_worker_that_does_not_come_up_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="does not come up"):
        fuzz(tmp_path, 0, 3, always, worker_module="tests.fuzz.nothing")
