"""The record of this attempt, kept up to date in OUTPUT while it runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from arm_batch.core.attempts import Attempt, Node, Outcome
from arm_batch.core.progress import Progress
from arm_batch.errors import StoppedError, UsageError
from arm_batch.execution.choice import Choice
from arm_batch.pipeline.clock import Clock
from arm_batch.pipeline.telling import Telling
from arm_batch.runstate.attempts import attempt_key, write_attempt
from arm_batch.storage.base import ObjectStore

SOON_S, HEARD_EVERY_S = 5.0, 30.0
"""How often it is written how far the attempt is, one small request: soon in the beginning, less often later."""

_SECRET = (re.compile(r"(?<=://)[^/@\s]+@"), re.compile(r"(?<=\?)[^\s'\"]*"))
"""Of URLs: who asks, and what is asked, in which signatures are."""


def command_line(arguments: Sequence[str]) -> str:
    """What a process was called with, for a person: without its folder, nor what of a URL may be secret.

    >>> command_line(["/usr/bin/arm-batch", "upscale", "my photos", "https://me:word@host/list.txt?Signature=1"])
    "arm-batch upscale 'my photos' https://...@host/list.txt?..."
    """
    name = Path(arguments[0]).name if arguments and arguments[0] else "python"
    told = []
    for argument in arguments[1:]:
        if "://" in argument:
            argument = _SECRET[1].sub("...", _SECRET[0].sub("...@", argument))
        told.append(argument if argument.endswith("?...") else shlex.quote(argument))
    return " ".join([name, *told])


class AttemptLog:
    """Writes the record of an attempt: when it begins, now and then, and at its end.

    Args:
        store: the output.
        attempt: its id.
        clock: of it.
        telling: how far it is.
        command: of the process.
    """

    def __init__(self, store: ObjectStore, attempt: str, clock: Clock, telling: Telling, command: str) -> None:
        self._store = store
        self._attempt = attempt
        self._clock = clock
        self._telling = telling
        self._command = command
        self._written_s = 0.0

    @contextmanager
    def kept(self, choice: Choice, ran: str, nodes: Callable[[], tuple[Node, ...]]) -> Iterator[None]:
        """Keep it while the block runs.

        Args:
            choice: of the executor.
            ran: where the run takes place, for a person.
            nodes: asks for the machines that it has; what has gone since stays in the record.
        """
        had: dict[str, Node] = {}

        def write(outcome: Outcome, progress: Progress) -> None:
            had.update({node.name: node for node in nodes()})
            self._written_s = self._clock.now
            heard = self._clock.started + timedelta(seconds=self._written_s)
            record = Attempt(
                attempt=self._attempt,
                command=self._command,
                executor=choice.executor,
                ran=ran,
                nodes=tuple(had[name] for name in sorted(had)),
                started=self._clock.started.isoformat(timespec="milliseconds"),
                heard=heard.isoformat(timespec="milliseconds"),
                seconds=round(self._written_s, 3),
                outcome=outcome,
                progress=progress,
            )
            write_attempt(self._store, record)

        def note(progress: Progress) -> None:
            now = self._clock.now
            if now - self._written_s >= min(HEARD_EVERY_S, max(SOON_S, now / 4)):
                write("running", progress)

        write("running", self._telling.now)
        self._telling.also(note)
        try:
            yield
        except UsageError:
            # As if it had never been.
            self._store.delete(attempt_key(self._attempt))
            raise
        except BaseException as error:
            # What went wrong counts, and not that this cannot be written then, or that the cluster is gone.
            with suppress(Exception):
                write("stopped" if isinstance(error, StoppedError) else "failed", self._telling.now)
            raise
        write("done", self._telling.now)
