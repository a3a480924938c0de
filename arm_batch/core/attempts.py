"""Attempts: each time that a run was begun or gone on with, by whom and where, and how far it came.

One that was killed says so by having no end.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from arm_batch.core.json_records import Amount, Count, Name, Record
from arm_batch.core.progress import Progress

Outcome = Literal["running", "done", "stopped", "failed"]


class Node(Record, frozen=True):
    """A machine of a run.

    Attributes:
        name: of the host.
        cores: that it gives.
        gpus: that it gives.
        accelerator: what they are, as Ray names it; None where it does not.
    """

    name: str
    cores: Count
    gpus: Count
    accelerator: str | None


class Attempt(Record, frozen=True, kw_only=True):
    """One attempt at a run.

    Attributes:
        attempt: its id.
        command: of the process, without what may be secret.
        executor: ``ray`` or ``inline``.
        ran: where, and why there, for a person.
        nodes: that it has had, by name.
        started: when, UTC, ISO 8601.
        heard: when it was last heard of.
        seconds: of wall time from the one to the other.
        outcome: ``running`` until it ends in order; a process that was killed leaves it so.
        progress: how far it was when it was last heard of.
    """

    what: ClassVar[str] = "the record of an attempt"
    remedy: ClassVar[str] = "it may be deleted: no run goes by it"
    format: ClassVar[int] = 1

    attempt: Name
    command: str
    executor: str
    ran: str
    nodes: tuple[Node, ...]
    started: str
    heard: str
    seconds: Amount
    outcome: Outcome
    progress: Progress
