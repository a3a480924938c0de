"""Budgets as people write them: ``40%``, ``2.5PFLOP``, ``90min``, ``3gpu-hours``, ``28dB``, ``pool:URL``."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal

from arm_batch.errors import BudgetError

Kind = Literal["share", "flops", "wall", "cpu", "gpu", "quality", "pool"]
"""What a budget bounds: a share of the largest subnet everywhere, executed FLOPs, wall seconds of the run, or the
seconds that devices of one kind are held by it, added up, as they are billed; or the quality that is enough; or
what a pool grants."""

POOL = "pool:"
"""What the name of a pool is written after."""

_TIMES = {
    **dict.fromkeys(("s", "sec", "second"), Decimal(1)),
    **dict.fromkeys(("m", "min", "minute"), Decimal(60)),
    **dict.fromkeys(("h", "hour"), Decimal(3600)),
    **dict.fromkeys(("d", "day"), Decimal(86_400)),
}

UNITS: dict[str, tuple[Kind, Decimal]] = {
    "%": ("share", Decimal("0.01")),
    **{f"{prefix}flop": ("flops", Decimal(10) ** (3 * i)) for i, prefix in enumerate(["", *"kmgtpe"])},
    **{unit: ("wall", seconds) for unit, seconds in _TIMES.items()},
    **{f"{kind}-{unit}": (kind, Decimal(n)) for kind in ("cpu", "gpu") for unit, n in (("s", 1), ("hour", 3600))},
    "db": ("quality", Decimal(1)),
}
"""By the name of the unit in lower case and singular: what it bounds, and in how many of its base units."""

_PATTERN = re.compile(r"\s*([+-]?[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?)\s*(%|[A-Za-z]+(?:-[A-Za-z]+)?)\s*")
_PARTS_OF_TIME = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([A-Za-z]+)")
"""Of times such as ``1h30m``."""

_RATE = re.compile(r"[0-9\s][kmgtpeKMGTPE]?(FLOPS|flops/s|FLOPs?/s)")
_MAGNITUDES = 30
"""Powers of ten within which amounts are exact."""

_WANTED = (
    "write a share such as 40%, FLOPs such as 2.5PFLOP, a time such as 90min or 3gpu-hours, a quality such as "
    "28dB, or a pool such as pool:s3://bucket/budgets/NAME"
)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A bound on what a run may spend.

    Attributes:
        text: as it was written; of a quality always such as ``28dB``, so that it has one name in all records.
        kind: what it bounds.
        amount: in fractions, FLOPs, seconds or dB; decimal, so that ``0.1%`` is exact. 0 for a pool.
        pool: where the pool lies that grants the FLOPs; ``None`` where the budget stands alone.
    """

    text: str
    kind: Kind
    amount: Decimal
    pool: str | None = None

    def flops(self, full: int) -> int:
        """The bound on FLOPs, rounded down, where running the largest subnet everywhere costs `full`.

        Raises:
            BudgetError: it bounds a time, or depends on what the archive holds or a pool grants.
        """
        if self.kind not in ("share", "flops"):
            what = {"quality": "a quality", "pool": "a pool"}.get(self.kind, "a time")
            raise BudgetError(f"the budget {self.text!r} is {what}, and only shares and FLOPs are taken here")
        return int(self.amount * full) if self.kind == "share" else int(self.amount)

    def is_same(self, other: Budget) -> bool:
        """Whether it bounds the same by as much, however the two are written."""
        return (self.kind, self.amount, self.pool) == (other.kind, other.amount, other.pool)

    @property
    def seconds(self) -> float | None:
        """The bound on seconds, wall or device; ``None`` where it bounds something else."""
        return float(self.amount) if self.kind in ("wall", "cpu", "gpu") else None

    @property
    def target_db(self) -> float | None:
        """The predicted quality to spend just enough for; ``None`` for bounds."""
        return float(self.amount) if self.kind == "quality" else None


def parse_budget(text: str) -> Budget:
    """Read a budget; `BudgetError` says what is wrong with it.

    >>> parse_budget("40%").flops(1000)
    400
    >>> parse_budget("1.5 gpu-hours").seconds
    5400.0
    >>> parse_budget("1h30m").seconds
    5400.0
    """
    _check_text(text)
    if text.strip().startswith(POOL):
        pool = text.strip().removeprefix(POOL)
        if not pool:
            raise BudgetError(f"the budget {text!r} names no pool: {_WANTED}")
        return Budget(text=text.strip(), kind="pool", amount=Decimal(0), pool=pool)
    number, unit = _number_and_unit(text)
    if number <= 0:
        raise BudgetError(f"the budget {text!r} must be more than nothing")
    if abs(number.adjusted()) > _MAGNITUDES:
        raise BudgetError(f"the budget {text!r} is too large or too small to mean anything")
    kind, size = UNITS[unit]
    amount = number * size
    return Budget(
        text=f"{amount.normalize():f}dB" if kind == "quality" else text.strip(), kind=kind, amount=amount
    )


def _number_and_unit(text: str) -> tuple[Decimal, str]:
    if _RATE.search(text):
        raise BudgetError(f"the budget {text!r} is a rate, and what is spent is an amount: write FLOP for FLOPS")
    match = _PATTERN.fullmatch(text)
    if match is None and (seconds := _sum_of_times(text)) is not None:
        return seconds, "s"
    if match is None:
        raise BudgetError(f"cannot read the budget {text!r}: {_WANTED}")
    unit = _singular(match[2])
    if unit not in UNITS:
        raise BudgetError(f"unknown unit {match[2]!r} in the budget {text!r}: {_WANTED}")
    try:
        return Decimal(match[1]), unit
    except InvalidOperation:
        raise BudgetError(f"{match[1]!r} in the budget {text!r} is not a number") from None


def _singular(unit: str) -> str:
    """The name of a unit as `UNITS` has it, if it does."""
    unit = unit.lower()
    return unit if unit in UNITS else unit.removesuffix("s")


def _sum_of_times(text: str) -> Decimal | None:
    """Seconds of a time of several parts, such as ``1h30m``; None where it is none, or not in falling units."""
    parts = _PARTS_OF_TIME.findall(text)
    sizes = [_TIMES.get(_singular(unit)) for _, unit in parts]
    if len(parts) < 2 or _PARTS_OF_TIME.sub("", text).strip() or None in sizes:
        return None
    known = [size for size in sizes if size is not None]
    falls = all(larger > smaller for larger, smaller in itertools.pairwise(known))
    seconds = (Decimal(number) * size for (number, _), size in zip(parts, known, strict=True))
    return sum(seconds, Decimal(0)) if falls else None


def _check_text(given: object) -> None:
    """Types are hints: from a notebook anything may come."""
    if not isinstance(given, str):
        raise BudgetError(f"a budget is text, and not {given!r}: {_WANTED}")


def target_budget(decibels: float) -> Budget:
    """The budget that is whatever a predicted quality takes, as `parse_budget` reads ``28dB``.

    Raises:
        BudgetError: it is not a number above 0.

    >>> target_budget(28.0) == parse_budget("28dB")
    True
    """
    if not math.isfinite(decibels):
        raise BudgetError(f"the target {decibels} dB is not a number")
    if decibels <= 0:
        raise BudgetError(f"a target PSNR of {decibels:g} dB is none: it must be more than 0, such as 28")
    return parse_budget(f"{decibels:.12g}dB")


def human_flops(flops: int) -> str:
    """Such as ``2.50 TFLOP``.

    >>> human_flops(2_500_000_000_000)
    '2.50 TFLOP'
    """
    amount = float(flops)
    for unit in ("", "K", "M", "G", "T", "P"):
        if amount < 1000:
            return f"{amount:.2f} {unit}FLOP"
        amount /= 1000
    return f"{amount:.2f} EFLOP"
