"""Calls spread over this process and helpers: all are done, the first failure ends it, and memory is bounded."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from arm_batch.core.stop import never
from arm_batch.errors import ArmBatchError, StoreError
from arm_batch.execution.crew import BYTES_PER_WORKER, Crew, Grace
from arm_batch.execution.helpers import Helpers
from arm_batch.execution.messages import JobContext
from arm_batch.execution.work import Work
from arm_batch.models.ladder_files import LadderFiles, load_ladder
from arm_batch.pipeline.job import open_job
from tests.archives import LADDER, job


@dataclass(frozen=True)
class Say:
    """Says who did it; may wait for a file, fail, or take its process down."""

    number: int
    weight: int = 0
    waits_for: str | None = None
    fails: bool = False
    dies_but_in: int | None = None
    told: str = "a.png to b.png"

    def __call__(self, work: Work) -> tuple[int, int]:
        """The number, and the process."""
        if self.dies_but_in is not None:
            while os.getpid() == self.dies_but_in and not work.given_up:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL) if os.getpid() != self.dies_but_in else None
        while self.waits_for is not None and not Path(self.waits_for).exists() and not work.given_up:
            time.sleep(0.01)
        if self.fails:
            raise StoreError(f"number {self.number}")
        return self.number, os.getpid()


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[JobContext, LadderFiles]:
    folder, files = tmp_path_factory.mktemp("crew"), load_ladder(LADDER)
    (folder / "in").mkdir()
    return open_job(job(folder / "in", folder / "out"), files).context, files


@pytest.fixture
def crew(given: tuple[JobContext, LadderFiles]) -> Iterator[Crew]:
    crew = Crew(Work(*given), Helpers(), 2)
    yield crew
    crew.end()


def alone(given: tuple[JobContext, LadderFiles]) -> Crew:
    return Crew(Work(*given), Helpers(), 1)


def test_one_alone_works_in_order_in_the_callers_thread(given: tuple[JobContext, LadderFiles]) -> None:
    before = threading.active_count()
    done = list(alone(given).run(iter([Say(n) for n in range(5)]), never))
    assert [result for _, result in done] == [(n, os.getpid()) for n in range(5)]
    assert threading.active_count() == before


def test_one_alone_draws_no_call_before_the_last_is_taken(given: tuple[JobContext, LadderFiles]) -> None:
    drawn: list[int] = []

    def calls() -> Iterator[Say]:
        for number in range(3):
            drawn.append(number)
            yield Say(number)

    for number, _ in enumerate(alone(given).run(calls(), never)):
        assert drawn == list(range(number + 1))


def test_two_do_all_of_it_each_a_part(crew: Crew, tmp_path: Path) -> None:
    crew.settle()
    done: list[tuple[int, int]] = []
    # Neither can do both of these.
    both = [Say(0, waits_for=str(tmp_path / "go")), Say(1, waits_for=str(tmp_path / "go"))]
    threading.Timer(0.3, (tmp_path / "go").touch).start()
    for _, result in crew.run(iter([*both, *map(Say, range(2, 40))]), never):
        done.append(result)
    assert sorted(number for number, _ in done) == list(range(40))
    assert len({process for _, process in done}) == 2
    # And once more, as for another generation.
    assert [result[0] for _, result in crew.run(iter([Say(7)]), never)] == [7]


def test_the_first_failure_ends_it(crew: Crew) -> None:
    with pytest.raises(StoreError, match=r"^number 3$"):
        list(crew.run(iter([*map(Say, range(3)), Say(3, fails=True), Say(4, waits_for="/never")]), never))


def test_a_helper_that_is_lost_is_told_of_with_what_it_did(crew: Crew) -> None:
    crew.settle()
    with pytest.raises(ArmBatchError, match=r"lost over a\.png to b\.png \(signal 9\).*--executor ray"):
        list(crew.run(iter([Say(0, dies_but_in=os.getpid()), Say(1, dies_but_in=os.getpid())]), never))


def test_what_is_heavy_is_alone(crew: Crew) -> None:
    heavy, under_way, most = 2 * BYTES_PER_WORKER + 1, 0, 0

    def calls() -> Iterator[Say]:
        nonlocal under_way, most
        for number in range(4):
            under_way += 1
            most = max(most, under_way)
            yield Say(number, weight=heavy)

    for _ in crew.run(calls(), never):
        under_way -= 1
    # One under way, and one that was looked at.
    assert (most, under_way) == (2, 0)


def test_what_has_to_wait_is_asked_for_again(crew: Crew) -> None:
    results: list[int] = []

    def calls() -> Iterator[Say | None]:
        yield Say(0)
        while 0 not in results:
            yield None
        yield Say(1)

    for _, (number, _process) in crew.run(calls(), never):
        results.append(number)
    assert results == [0, 1]


def test_nothing_to_wait_for_ends_it(crew: Crew) -> None:
    assert list(crew.run(iter([None, Say(0)]), never)) == []


def test_it_ends_when_its_time_is_over(crew: Crew) -> None:
    asked: list[Any] = []

    def over() -> bool:
        asked.append(None)
        return len(asked) > 3

    assert list(crew.run(iter([Say(n, waits_for="/never") for n in range(9)]), over)) == []


def test_a_grace_begins_when_somebody_asks() -> None:
    wanted = False
    grace = Grace(lambda: wanted, 0.0)
    assert not grace.over()
    wanted = True
    assert grace.over()
    wanted = False
    assert grace.over()
    assert not Grace(lambda: True, 3600.0).over()
