from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.allocation.budget import parse_budget, target_budget
from arm_batch.errors import BudgetError


@pytest.mark.parametrize(
    ("text", "flops"),
    [
        ("40%", 400),
        ("0.1%", 1),
        ("100%", 1000),
        (" 12.5 % ", 125),
        ("7FLOP", 7),
        ("7 flops", 7),
        ("2.5KFLOP", 2500),
        ("2.5PFLOP", 2_500_000_000_000_000),
        ("2.5EFLOP", 2_500_000_000_000_000_000),
        ("1e3GFLOP", 10**12),
    ],
)
def test_reads_what_people_write(text: str, flops: int) -> None:
    assert parse_budget(text).flops(1000) == flops


@pytest.mark.parametrize(
    ("text", "kind", "seconds"),
    [
        ("90min", "wall", 5400),
        ("90 mins", "wall", 5400),
        ("2h", "wall", 7200),
        ("2 hours", "wall", 7200),
        ("45s", "wall", 45),
        ("30minutes", "wall", 1800),
        ("5m", "wall", 300),
        ("1 day", "wall", 86_400),
        ("2 days", "wall", 172_800),
        ("90 seconds", "wall", 90),
        ("1h30m", "wall", 5400),
        ("1d 2.5 hours 10s", "wall", 95_410),
        ("3gpu-hours", "gpu", 10_800),
        ("1cpu-hour", "cpu", 3600),
        ("0.5 CPU-Hours", "cpu", 1800),
        ("600gpu-s", "gpu", 600),
        ("40%", "share", None),
        ("1GFLOP", "flops", None),
    ],
)
def test_reads_times(text: str, kind: str, seconds: float | None) -> None:
    budget = parse_budget(text)
    assert (budget.kind, budget.seconds) == (kind, seconds)
    if seconds is not None:
        with pytest.raises(BudgetError, match="is a time"):
            budget.flops(1000)


@pytest.mark.parametrize("text", ["28dB", "28 db", " 28.0DB ", "2.8e1dB"])
def test_reads_targets(text: str) -> None:
    budget = parse_budget(text)
    assert budget == target_budget(28)
    assert budget.text == "28dB"
    assert (budget.kind, budget.target_db, budget.seconds) == ("quality", 28, None)
    with pytest.raises(BudgetError, match="is a quality"):
        budget.flops(1000)


@pytest.mark.parametrize(
    "texts",
    [("40%", "40.0%", "40 %", "4e1%"), ("1GFLOP", "1000MFLOP"), ("90min", "1.5h", "1h30m"), ("28dB", "28.0 dB")],
)
def test_budgets_are_compared_by_value(texts: tuple[str, ...]) -> None:
    first, *others = map(parse_budget, texts)
    assert all(first.is_same(other) for other in others)
    assert not first.is_same(parse_budget("41%"))
    assert not parse_budget("pool:/a").is_same(parse_budget("pool:/b"))


def test_targets_have_one_name_however_they_are_written() -> None:
    assert [parse_budget(text).text for text in ("28.50dB", "30 dB", "1e2dB")] == ["28.5dB", "30dB", "100dB"]
    assert target_budget(28.125).text == "28.125dB"


@pytest.mark.parametrize("target", [0, -3, float("nan"), float("inf")])
def test_targets_that_mean_nothing_are_refused_in_one_line(target: float) -> None:
    with pytest.raises(BudgetError, match=r"^[^\n]*(not a number|must be more than 0)[^\n]*$"):
        target_budget(target)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cannot read"),
        ("40", "cannot read the budget '40': write a share such as 40%"),
        ("%", "not a number"),
        ("-3", "cannot read"),
        ("-3%", "more than nothing"),
        ("-3min", "more than nothing"),
        ("0%", "more than nothing"),
        ("0FLOP", "more than nothing"),
        ("0gpu-hours", "more than nothing"),
        ("nan", "unknown unit 'nan'"),
        ("nan%", "cannot read"),
        ("inf%", "cannot read"),
        ("5 apples", "unknown unit 'apples'"),
        ("5tpu-hours", "unknown unit 'tpu-hours'"),
        ("5gpu-", "cannot read"),
        ("2.5TFLOPS", "is a rate"),
        ("7 FLOPS", "is a rate"),
        ("5 GFLOP/s", "is a rate"),
        ("30m1h", "cannot read"),
        ("1h30m2m", "cannot read"),
        ("1h30", "cannot read"),
        ("1h 5GFLOP", "cannot read"),
        ("5PB", "unknown unit 'PB'"),
        (".%", "not a number"),
        ("1e999999999FLOP", "too large"),
        ("1e99999999999999999999%", "budget"),
        ("1e-999999999%", "too small"),
    ],
)
def test_refuses_the_rest_in_one_line(text: str, told: str) -> None:
    with pytest.raises(BudgetError) as caught:
        parse_budget(text)
    assert "\n" not in str(caught.value)
    assert told in str(caught.value)


@given(st.decimals("0.001", "100", places=3), st.integers(0, 10**20))
def test_a_share_is_rounded_down_exactly(percent: Decimal, full: int) -> None:
    flops = parse_budget(f"{percent}%").flops(full)
    thousandths = int(percent * 1000)
    assert flops == full * thousandths // 100_000


@given(st.text(max_size=12))
def test_any_other_text_is_a_budget_error_or_a_budget(text: str) -> None:
    try:
        amount = parse_budget(text).amount
    except BudgetError:
        return
    assert amount > 0
