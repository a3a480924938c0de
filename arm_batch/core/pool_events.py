"""What can happen to a pool of FLOPs. Amounts are whole FLOPs: to know them nobody has to compute prices again."""

from __future__ import annotations

from dataclasses import dataclass

from arm_batch.core.census import Objective


@dataclass(frozen=True)
class Add:
    """Raise the pool by `flops`, once for each `token`."""

    token: str
    flops: int


@dataclass(frozen=True)
class Close:
    """Take no further job. Those that are registered go on."""


@dataclass(frozen=True)
class Register:
    """A job comes; its grant follows by `Price`.

    Attributes:
        job: its id.
        objective: what it makes best.
        demand: key of the file that says what it has to do.
        portions: that its work is divided into.
    """

    job: str
    objective: Objective
    demand: str
    portions: int


@dataclass(frozen=True)
class Price:
    """New grants of some jobs, by id."""

    grants: dict[str, int]


@dataclass(frozen=True)
class Begin:
    """A job reserves `flops` of its grant for a portion; nobody can take them from it any more.

    Attributes:
        job: its id.
        portion: which.
        flops: to reserve.
        epoch: number of the job's allocation that they come from.
    """

    job: str
    portion: int
    flops: int
    epoch: int


@dataclass(frozen=True)
class Refuse:
    """A portion may not begin under an epoch of its job, nor an earlier one, whoever still asks for that."""

    job: str
    portion: int
    epoch: int


@dataclass(frozen=True)
class Settle:
    """A portion is done and has spent `flops`."""

    job: str
    portion: int
    flops: int


@dataclass(frozen=True)
class Leave:
    """A job ends. What it has begun and not settled counts as spent until it is settled."""

    job: str


@dataclass(frozen=True)
class Return:
    """A job that has left is there again; its grant follows by `Price`."""

    job: str


Event = Add | Close | Register | Price | Begin | Refuse | Settle | Leave | Return
