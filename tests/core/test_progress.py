"""How far a run is: counts, speeds over a window, what is left, and what an event does to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.progress import (
    WINDOW_S,
    Allocated,
    Done,
    Entered,
    Event,
    Gained,
    Manned,
    ProgressState,
    UnderWay,
    apply,
    snapshot,
)

RUN = Entered("run", "g0000", shards=10, images=100)


def after(*events: tuple[float, Event]) -> ProgressState:
    state = ProgressState()
    for at, event in events:
        state = apply(state, event, at)
    return state


def test_nothing_is_known_of_a_run_that_has_just_begun() -> None:
    told = snapshot(ProgressState(), 3.0)
    assert (told.stage, told.seconds, told.images, told.eta_seconds) == ("list", 3.0, 0, None)
    assert (told.tiles, told.budget_flops, told.gain_db, told.workers) == (None, None, None, {})


def test_what_is_done_adds_up_and_tells_what_is_left() -> None:
    state = after(
        (0.0, RUN),
        (0.0, Allocated(1000, 500)),
        (0.0, Manned({"gpu": 1, "cpu": 2})),
        (10.0, Done(shards=2, images=20, failed=1, tiles=200, flops=90)),
        (10.0, Gained(0.5)),
    )
    told = snapshot(state, 10.0)
    assert (told.shards_done, told.images_done, told.images_failed, told.tiles_done) == (2, 20, 1, 200)
    assert (told.spent_flops, told.budget_flops, told.gain_db) == (90, 500, 0.5)
    assert (told.tiles_per_second, told.images_per_second, told.eta_seconds) == (20.0, 2.0, 40.0)
    assert list(told.workers) == ["cpu", "gpu"]


def test_what_is_under_way_counts_until_its_shard_does() -> None:
    state = after((0.0, RUN), (0.0, Allocated(1000, 500)), (5.0, UnderWay(Done(images=8, tiles=80, flops=30))))
    told = snapshot(state, 5.0)
    assert (told.shards_done, told.images_done, told.tiles_done, told.spent_flops) == (0, 8, 80, 30)
    assert told.tiles_per_second == 16.0
    state = apply(state, Done(shards=1, images=10, tiles=100, flops=40), 6.0)
    told = snapshot(apply(state, UnderWay(Done()), 6.0), 6.0)
    assert (told.shards_done, told.images_done, told.spent_flops) == (1, 10, 40)


def test_what_an_earlier_attempt_did_is_no_speed() -> None:
    before = Done(shards=5, images=50, tiles=500, flops=200)
    state = after((100.0, Entered("run", "g0000", 10, 100, before)), (100.0, Allocated(1000, 500)))
    assert snapshot(state, 110.0).eta_seconds is None
    state = apply(state, Done(shards=1, images=10, tiles=100), 110.0)
    told = snapshot(state, 110.0)
    assert (told.images_done, told.tiles_per_second, told.eta_seconds) == (60, 10.0, 40.0)


def test_speed_is_that_of_lately_and_falls_while_nothing_comes() -> None:
    state = after((0.0, RUN), (0.0, Allocated(10**6, 1)))
    for second in range(1, 301):
        state = apply(state, Done(shards=0, tiles=100 if second <= 150 else 10), float(second))
    assert snapshot(state, 300.0).tiles_per_second == pytest.approx(10.0)
    assert snapshot(state, 300.0 + WINDOW_S / 2).tiles_per_second == pytest.approx(5.0, rel=0.05)
    assert len(state.samples) <= WINDOW_S + 2


def test_another_generation_is_not_allocated_yet() -> None:
    state = after((0.0, RUN), (0.0, Allocated(10, 1)), (1.0, Entered("plan", "g0001", 1, 3)))
    assert snapshot(state, 1.0).budget_flops is None
    same = after((0.0, Entered("plan", "g0000", 10, 100)), (0.0, Allocated(10, 1)), (1.0, RUN))
    assert snapshot(same, 1.0).budget_flops == 1


def test_in_between_time_passes() -> None:
    state = after((0.0, RUN), (0.0, Allocated(100, 5)), (10.0, Done(tiles=50)))
    later = snapshot(state, 10.0).after(4.0)
    assert (later.seconds, later.eta_seconds) == (14.0, 6.0)
    assert later.after(60.0).eta_seconds == 0.0


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 100)), max_size=60))
def test_counts_never_fall_and_speeds_are_never_negative(steps: list[tuple[float, int]]) -> None:
    state, now, seen = after((0.0, RUN), (0.0, Allocated(10**4, 1))), 0.0, 0
    for seconds, tiles in steps:
        now += seconds
        state = apply(state, Done(tiles=tiles), now)
        told = snapshot(state, now)
        assert told.tiles_done >= seen
        assert told.tiles_per_second is None or told.tiles_per_second > 0
        assert told.eta_seconds is None or told.eta_seconds >= 0
        seen = told.tiles_done
