from __future__ import annotations

import threading
from collections.abc import Callable, Generator

import pytest

from arm_batch.storage.overlap import overlapped


class Counted:
    """Waits until as many are under way as are wanted, and remembers how many there were."""

    def __init__(self, wanted: int) -> None:
        self._changed = threading.Condition()
        self._wanted = wanted
        self.active = self.most = self.calls = 0

    def __call__(self, item: int) -> int:
        with self._changed:
            self.active += 1
            self.calls += 1
            self.most = max(self.most, self.active)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most >= self._wanted)
            self.active -= 1
        return item * item


def test_results_come_in_order_and_acts_overlap() -> None:
    act = Counted(4)
    assert [found() for found in overlapped(act, range(50), at_once=4)] == [n * n for n in range(50)]
    assert (act.most, act.calls) == (4, 50)


def test_what_is_read_ahead_is_bounded_in_bytes_and_in_number() -> None:
    act = Counted(1)
    taken = 0
    begun: list[int] = []

    def note(item: int) -> int:
        begun.append(item)
        return act(item)

    for position, found in enumerate(overlapped(note, range(40), lambda _: 10, at_once=16, most=35)):
        found()
        taken += 1
        # The one in hand, and two more: a fourth would be 40.
        assert max(begun) <= position + 2
    assert taken == 40
    items = iter(range(40))
    outcomes = overlapped(abs, items, at_once=3)
    next(outcomes)
    # Three were taken from what there is, and no more before the first is done with.
    assert next(items) == 3


def test_one_that_is_larger_than_all_is_alone() -> None:
    act = Counted(1)
    sizes = [1, 100, 1, 100, 1]
    assert [found() for found in overlapped(act, range(5), sizes.__getitem__, most=50)] == [0, 1, 4, 9, 16]
    assert act.most == 1


def test_an_error_is_raised_by_its_own_outcome() -> None:
    def act(item: int) -> int:
        if item == 1:
            raise KeyError(item)
        return item

    found: list[Callable[[], int]] = []
    outcomes: list[int | str] = []
    for outcome in overlapped(act, range(3)):
        found.append(outcome)
        try:
            outcomes.append(outcome())
        except KeyError as error:
            outcomes.append(repr(error))
    assert outcomes == [0, "KeyError(1)", 2]


def test_a_stop_ends_it_while_nothing_comes() -> None:
    release = threading.Event()
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == 2

    assert list(overlapped(lambda _: release.wait(), range(3), stop=stop)) == []
    assert asked == 2
    release.set()


def test_what_is_no_longer_wanted_is_not_begun() -> None:
    started, release = threading.Event(), threading.Event()
    begun: list[int] = []

    def act(item: int) -> int:
        begun.append(item)
        if item:
            started.set()
            release.wait()
        return item

    outcomes = overlapped(act, range(100), at_once=2)
    assert next(outcomes)() == 0
    started.wait()
    assert isinstance(outcomes, Generator)
    outcomes.close()
    release.set()
    assert begun == [0, 1]


def test_no_items() -> None:
    with pytest.raises(StopIteration):
        next(overlapped(abs, []))
