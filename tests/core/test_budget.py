from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.budget import parse_budget
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
    "text", ["", "40", "%", "-3", "-3%", "0%", "0FLOP", "nan%", "inf%", "101%", "5 apples", ".%"]
)
def test_refuses_the_rest_in_one_line(text: str) -> None:
    with pytest.raises(BudgetError) as caught:
        parse_budget(text)
    assert "\n" not in str(caught.value)


@given(st.decimals("0.001", "100", places=3), st.integers(0, 10**20))
def test_a_share_is_rounded_down_exactly(percent: Decimal, full: int) -> None:
    flops = parse_budget(f"{percent}%").flops(full)
    thousandths = int(percent * 1000)
    assert flops == full * thousandths // 100_000
