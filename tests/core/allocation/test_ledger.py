"""The ledger against a model, whatever is called in whatever order."""

import contextlib

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from arm_batch.core.allocation.ledger import Ledger
from arm_batch.errors import BudgetError

TOTAL = 100
keys = st.sampled_from("abcd")
amounts = st.integers(-5, 120)


def state(ledger: Ledger) -> tuple[int, int, int]:
    return ledger.spent, ledger.reserved, ledger.free


class LedgerMachine(RuleBasedStateMachine):
    """Every call that succeeds is repeated at once and must change nothing; one that fails changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(TOTAL)
        self.reserved: dict[str, int] = {}
        self.spent: dict[str, int] = {}

    def twice(self, call: str, *args: object) -> bool:
        before = state(self.ledger)
        try:
            getattr(self.ledger, call)(*args)
        except BudgetError:
            assert state(self.ledger) == before
            return False
        after = state(self.ledger)
        getattr(self.ledger, call)(*args)
        assert state(self.ledger) == after
        return True

    @rule(key=keys, flops=amounts)
    def reserve(self, key: str, flops: int) -> None:
        free = TOTAL - sum(self.reserved.values()) - sum(self.spent.values())
        allowed = flops >= 0 and (key in self.spent or self.reserved.get(key, flops) == flops)
        new = key not in self.spent and key not in self.reserved
        assert self.twice("reserve", key, flops) == (allowed and not (new and flops > free))
        if allowed and new and flops <= free:
            self.reserved[key] = flops

    @rule(key=keys, flops=amounts)
    def settle(self, key: str, flops: int) -> None:
        if key in self.spent:
            allowed = flops == self.spent[key]
        else:
            allowed = key in self.reserved and 0 <= flops <= self.reserved[key]
        assert self.twice("settle", key, flops) == allowed
        if allowed:
            self.reserved.pop(key, None)
            self.spent[key] = flops

    @precondition(lambda self: self.reserved)
    @rule(data=st.data())
    def settle_what_is_reserved(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.reserved)))
        self.settle(key, data.draw(st.integers(0, self.reserved[key])))

    @rule(key=keys)
    def release(self, key: str) -> None:
        assert self.twice("release", key)
        self.reserved.pop(key, None)

    @invariant()
    def agrees_with_the_model_and_never_overspends(self) -> None:
        spent, reserved = sum(self.spent.values()), sum(self.reserved.values())
        assert state(self.ledger) == (spent, reserved, TOTAL - spent - reserved)
        assert spent + reserved <= TOTAL


TestLedger = LedgerMachine.TestCase


def test_the_last_flop_can_be_reserved_and_no_more():
    ledger = Ledger(10)
    ledger.reserve("a", 10)
    with pytest.raises(BudgetError, match="b asks for 1 FLOPs, 0 are free"):
        ledger.reserve("b", 1)
    ledger.settle("a", 9)
    ledger.reserve("b", 1)
    assert state(ledger) == (9, 1, 0)


def test_a_late_repeat_of_a_reservation_takes_nothing_after_settling():
    ledger = Ledger(10)
    ledger.reserve("a", 6)
    ledger.settle("a", 4)
    ledger.reserve("a", 6)
    ledger.release("a")
    assert state(ledger) == (4, 0, 6)


def test_what_was_reserved_must_not_change():
    ledger = Ledger(10)
    ledger.reserve("a", 6)
    with pytest.raises(BudgetError, match="has reserved 6"):
        ledger.reserve("a", 5)
    ledger.settle("a", 6)
    with contextlib.suppress(BudgetError):
        ledger.settle("a", 5)
    assert ledger.spent == 6


def test_a_negative_total_is_refused():
    with pytest.raises(BudgetError, match="negative"):
        Ledger(-1)
