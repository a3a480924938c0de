"""The ledger against a model, whatever is called in whatever order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from arm_batch.core.allocation.ledger import Ledger
from arm_batch.core.allocation.waves import Waves
from arm_batch.errors import BudgetError

TOTAL = 100
WAVES = Waves((1, 2, 2))
shards = st.integers(0, WAVES.shards - 1)
amounts = st.integers(-5, 120)


def state(ledger: Ledger) -> tuple[int, int, int]:
    return ledger.spent, ledger.reserved, ledger.free


class LedgerMachine(RuleBasedStateMachine):
    """What succeeds is repeated at once and changes nothing; a ledger that was is never changed."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger.empty(TOTAL, WAVES)
        self.reserved: dict[int, int] = {}
        self.spent: dict[int, int] = {}

    def twice(self, call: Callable[[Ledger], Ledger]) -> bool:
        before, was = self.ledger, state(self.ledger)
        try:
            after = call(before)
        except BudgetError:
            return False
        assert call(after) is after
        assert state(before) == was
        self.ledger = after
        return True

    def left(self, *but: int) -> int:
        others = (flops for shard, flops in self.reserved.items() if shard not in but)
        return TOTAL - sum(self.spent.values()) - sum(others)

    @rule(shard=shards, flops=amounts)
    def reserve(self, shard: int, flops: int) -> None:
        same = shard in self.spent or self.reserved.get(shard) == flops
        allowed = same or 0 <= flops <= self.left(shard)
        assert self.twice(lambda ledger: ledger.reserve(shard, flops)) == allowed
        if allowed and not same:
            self.reserved[shard] = flops

    @rule(spent=st.dictionaries(shards, st.integers(-1, 40), max_size=3))
    def settle(self, spent: dict[int, int]) -> None:
        new = {shard: flops for shard, flops in spent.items() if shard not in self.spent}
        agree = all(self.spent.get(shard, flops) == flops >= 0 for shard, flops in spent.items())
        allowed = agree and (not new or sum(new.values()) <= self.left(*new))
        assert self.twice(lambda ledger: ledger.settle(spent)) == allowed
        if allowed:
            self.spent |= new
            self.reserved = {shard: flops for shard, flops in self.reserved.items() if shard not in new}

    @rule(shard=shards)
    def release(self, shard: int) -> None:
        assert self.twice(lambda ledger: ledger.release(shard))
        self.reserved.pop(shard, None)

    @invariant()
    def agrees_with_the_model_and_never_overspends(self) -> None:
        ledger, spent, reserved = self.ledger, sum(self.spent.values()), sum(self.reserved.values())
        assert state(ledger) == (spent, reserved, TOTAL - spent - reserved)
        assert spent + reserved <= TOTAL
        assert (ledger.done(), ledger.in_flight()) == (frozenset(self.spent), frozenset(self.reserved))
        for wave in range(len(WAVES)):
            members = WAVES.members(wave)
            assert ledger.is_complete(wave) == all(map(ledger.is_settled, members))
            assert ledger.by_wave[wave].spent == sum(self.spent.get(shard, 0) for shard in members)
        assert all(ledger.is_reserved(shard) == (shard in self.reserved) for shard in range(WAVES.shards))


TestLedger = LedgerMachine.TestCase


def test_the_last_flop_can_be_reserved_and_no_more() -> None:
    ledger = Ledger.empty(10, WAVES).reserve(0, 10)
    with pytest.raises(BudgetError, match="shard 1 asks for 1 FLOPs, 0 are free"):
        ledger.reserve(1, 1)
    assert state(ledger.settle({0: 9}).reserve(1, 1)) == (9, 1, 0)


def test_a_late_repeat_of_a_reservation_takes_nothing_after_settling() -> None:
    ledger = Ledger.empty(10, WAVES).reserve(0, 6).settle({0: 4}).reserve(0, 6).release(0)
    assert state(ledger) == (4, 0, 6)


def test_what_was_settled_stays() -> None:
    ledger = Ledger.empty(10, WAVES).reserve(0, 6).settle({0: 6})
    with pytest.raises(BudgetError, match="shard 0 was settled at 6 FLOPs, not 5"):
        ledger.settle({1: 1, 0: 5})


def test_what_is_spent_may_not_need_what_others_have_reserved() -> None:
    ledger = Ledger.empty(10, WAVES).reserve(0, 6)
    with pytest.raises(BudgetError, match="shards 1, 2: 2 FLOPs more than there are"):
        ledger.settle({1: 3, 2: 3})
    assert state(ledger.settle({1: 1, 2: 3})) == (4, 6, 0)


def test_a_negative_total_is_refused() -> None:
    with pytest.raises(BudgetError, match="negative"):
        Ledger.empty(-1, WAVES)
