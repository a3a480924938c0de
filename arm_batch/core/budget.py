"""Budgets as people write them: ``40%``, ``2.5PFLOP``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from arm_batch.errors import BudgetError

UNITS = {"%": 0, "FLOP": 1, "KFLOP": 10**3, "MFLOP": 10**6, "GFLOP": 10**9}
UNITS |= {"TFLOP": 10**12, "PFLOP": 10**15, "EFLOP": 10**18}

_PATTERN = re.compile(r"\s*([+-]?[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?)\s*(%|[A-Za-z]+)\s*")


@dataclass(frozen=True)
class Budget:
    """A bound on executed FLOPs: absolute, or a share of running the largest subnet everywhere.

    Attributes:
        text: as it was written.
        amount: of `unit`; decimal, so that ``0.1%`` is exact.
        unit: a key of `UNITS`.
    """

    text: str
    amount: Decimal
    unit: str

    def flops(self, full: int) -> int:
        """The budget in FLOPs, rounded down, where running the largest subnet everywhere costs `full`."""
        exact = self.amount * full / 100 if self.unit == "%" else self.amount * UNITS[self.unit]
        return int(exact)


def parse_budget(text: str) -> Budget:
    """Read a budget; `BudgetError` says what is wrong with it.

    >>> parse_budget("40%").flops(1000)
    400
    """
    match = _PATTERN.fullmatch(text)
    wanted = "write a share such as 40% or FLOPs such as 2.5PFLOP"
    if match is None:
        raise BudgetError(f"cannot read the budget {text!r}: {wanted}")
    unit = match[2].upper().removesuffix("S")
    if unit not in UNITS:
        raise BudgetError(f"unknown unit {match[2]!r} in the budget {text!r}: {wanted}")
    try:
        amount = Decimal(match[1])
    except InvalidOperation:
        raise BudgetError(f"{match[1]!r} in the budget {text!r} is not a number") from None
    if amount <= 0:
        raise BudgetError(f"the budget {text!r} must be more than nothing")
    if unit == "%" and amount > 100:
        raise BudgetError(f"the budget {text!r} is more than running the largest subnet everywhere (100%)")
    return Budget(text.strip(), amount, unit)
