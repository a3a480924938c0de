"""What can happen to a pool of FLOPs. Amounts are whole FLOPs: to know them nobody has to compute prices again."""

from __future__ import annotations

import msgspec

from arm_batch.core.allocation.measures import Objective
from arm_batch.core.json_records import Count, Index, Key, Name, Positive


class _Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="event", tag=str.lower):
    """In JSON, an event names its kind as ``event``."""


class Add(_Event, frozen=True):
    """Raise the pool by `flops`, once for each `token`."""

    token: Name
    flops: Positive


class Close(_Event, frozen=True):
    """Take no further job. Those that are registered go on."""


class Register(_Event, frozen=True):
    """A job comes; its grant follows by `Price`.

    Attributes:
        job: its id.
        objective: what it makes best.
        demand: key of the file that says what it has to do.
        portions: that its work is divided into.
    """

    job: Name
    objective: Objective
    demand: Key
    portions: Index


class Price(_Event, frozen=True):
    """New grants of some jobs, by id."""

    grants: dict[Name, Count]


class Begin(_Event, frozen=True):
    """A job reserves `flops` of its grant for a portion; nobody can take them from it any more.

    Attributes:
        job: its id.
        portion: which.
        flops: to reserve.
        revision: number of the job's allocation that they come from.
    """

    job: Name
    portion: Index
    flops: Count
    revision: Index = msgspec.field(name="epoch")


class Refuse(_Event, frozen=True):
    """A portion may not begin under a revision of its job, nor an earlier one, whoever still asks for that."""

    job: Name
    portion: Index
    revision: Index = msgspec.field(name="epoch")


class Settle(_Event, frozen=True):
    """A portion is done and has spent `flops`."""

    job: Name
    portion: Index
    flops: Count


class Leave(_Event, frozen=True):
    """A job ends. What it has begun and not settled counts as spent until it is settled."""

    job: Name


class Return(_Event, frozen=True):
    """A job that has left is there again; its grant follows by `Price`."""

    job: Name


Event = Add | Close | Register | Price | Begin | Refuse | Settle | Leave | Return
