from __future__ import annotations

from collections.abc import Callable

import pytest

from arm_batch.core.image_options import Reading, Writing, parse_float_range, parse_frames
from arm_batch.errors import UsageError


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Reading(max_pixels=0), "leaves no image"),
        (lambda: Reading(frames=-1), "counted from 0"),
        (lambda: Reading(float_range=(1, 1)), "is none"),
        (lambda: Reading(float_range=(0, float("inf"))), "is none"),
        (lambda: Writing(format="gif"), "unknown format 'gif'"),
        (lambda: Writing(quality=0), "1 to 100"),
        (lambda: Writing(quality=101), "1 to 100"),
        (lambda: parse_float_range("1"), "two numbers"),
        (lambda: parse_float_range("0,1,2"), "two numbers"),
        (lambda: parse_float_range("a,b"), "two numbers"),
        (lambda: parse_frames("last"), "first, refuse"),
        (lambda: parse_frames("-1"), "first, refuse"),
    ],
)
def test_what_makes_no_sense(make: Callable[[], object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make()


def test_what_is_read() -> None:
    assert parse_float_range("-1.5,2e3") == (-1.5, 2000)
    assert [parse_frames(text) for text in ("first", "refuse", "0", "12")] == ["first", "refuse", 0, 12]


def test_each_choice_is_a_setting() -> None:
    plain = Reading().settings()
    others = [Reading(max_pixels=5), Reading(to_srgb=True), Reading(float_range=(0, 0.1)), Reading(frames=0)]
    for name, other in zip(plain, others, strict=True):
        changed = other.settings()
        assert changed.keys() == plain.keys()
        assert {key for key in plain if changed[key] != plain[key]} == {name}
