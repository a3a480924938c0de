"""What events may do to a pool, and what they may not."""

from __future__ import annotations

import pytest

from arm_batch.core.quota.events import Add, Begin, Close, Event, Leave, Price, Refuse, Register, Return, Settle
from arm_batch.core.quota.state import QuotaState, follow
from arm_batch.errors import BudgetError

A, B = (Register(job, "mse", f"demands/{job}", 3) for job in "ab")
BEGUN: list[Event] = [A, Price({"a": 60}), Begin("a", 0, 40, 0)]
POOL = QuotaState("p", 100)


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([A, B, Price({"a": 60, "b": 41})], "holds 100 FLOPs, 101 are asked for"),
        ([A, Price({"a": 101})], "holds 100 FLOPs, 101 are asked for"),
        ([*BEGUN, Price({"a": 39})], "cannot be granted 39"),
        ([*BEGUN, Leave("a"), Price({"a": 50})], "cannot be granted 50"),
        ([Price({"a": 1})], "knows no job a"),
        ([*BEGUN, Begin("a", 1, 21, 0)], "asks for 21 of 20"),
        ([*BEGUN, Begin("a", 0, 41, 0)], "has begun with 40"),
        ([*BEGUN, Begin("a", 3, 1, 0)], "cannot begin"),
        ([*BEGUN, Begin("a", 1, -1, 0)], "cannot begin"),
        ([*BEGUN, Leave("a"), Begin("a", 1, 0, 0)], "cannot begin"),
        ([*BEGUN, Refuse("a", 1, 2), Begin("a", 1, 1, 2)], "cannot begin"),
        ([*BEGUN, Leave("a"), Close(), Return("a")], "is closed"),
        ([*BEGUN, Leave("a"), Return("a"), Begin("a", 1, 1, 0)], "asks for 1 of 0"),
        ([*BEGUN, Settle("a", 0, 41)], "cannot spend 41"),
        ([*BEGUN, Settle("a", 0, -1)], "cannot spend -1"),
        ([*BEGUN, Settle("a", 1, 0)], "cannot spend 0"),
        ([*BEGUN, Settle("a", 0, 4), Settle("a", 0, 5)], "has spent 4"),
        ([Add("x", 0)], "add nothing"),
        ([Close(), A], "is closed"),
        ([A, Register("b", "psnr", "d", 1)], "make mse best, this one psnr"),
        ([*BEGUN, Price({"a": 100}), Begin("a", 1, 60, 0), B], "is spent"),
    ],
)
def test_what_is_not_allowed(events: list[Event], told: str) -> None:
    follow(POOL, events[:-1])
    with pytest.raises(BudgetError, match=told):
        follow(POOL, events)


@pytest.mark.parametrize(
    ("before", "event"),
    [
        ([A], Register("a", "psnr", "other", 9)),
        ([A, Close()], A),
        ([Close()], Close()),
        ([Add("x", 5)], Add("x", 7)),
        (BEGUN, Price({"a": 60})),
        (BEGUN, Begin("a", 0, 40, 0)),
        (BEGUN, Refuse("a", 0, 4)),
        ([*BEGUN, Refuse("a", 1, 4)], Refuse("a", 1, 3)),
        (BEGUN, Return("a")),
        ([*BEGUN, Settle("a", 0, 7)], Settle("a", 0, 7)),
        ([*BEGUN, Settle("a", 0, 7)], Begin("a", 0, 40, 0)),
        ([*BEGUN, Settle("a", 0, 7)], Refuse("a", 0, 4)),
        ([*BEGUN, Leave("a")], Leave("a")),
    ],
)
def test_what_changes_nothing(before: list[Event], event: Event) -> None:
    state = follow(POOL, before)
    assert follow(state, [event]) is state


def test_who_leaves_keeps_only_what_it_has_begun() -> None:
    state = follow(POOL, [*BEGUN, Begin("a", 1, 10, 0), Settle("a", 0, 30), Leave("a")])
    assert (state.spent, state.fixed, state.granted) == (30, 40, 40)
    state = follow(state, [Settle("a", 1, 0), B, Price({"b": 70}), Add("x", 5), Price({"b": 75})])
    assert (state.granted, state.total) == (105, 105)


def test_a_portion_that_was_refused_begins_under_a_later_revision() -> None:
    state = follow(POOL, [*BEGUN, Refuse("a", 1, 2), Begin("a", 1, 5, 3)])
    assert (state.jobs["a"].revisions, state.jobs["a"].fixed) == ({0: 0, 1: 3}, 45)


def test_who_comes_back_is_priced_again() -> None:
    state = follow(POOL, [*BEGUN, Leave("a"), Return("a")])
    assert (state.jobs["a"].active, state.jobs["a"].grant) == (True, 40)
    assert follow(state, [Price({"a": 100})]).granted == 100
