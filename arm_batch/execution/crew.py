"""Calls spread over this process and its helpers, one at a time in each."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

from arm_batch.core.stop import Stop
from arm_batch.errors import ArmBatchError
from arm_batch.execution.helpers import Helper, HelperLostError, Helpers
from arm_batch.execution.work import Setup, Work

BYTES_PER_WORKER = 1 << 30
"""Of memory, for what is under way: of large work less is under way at once, but always something."""

_AHEAD = 4
"""Calls for each that works, so that none waits for the next while this thread writes a shard."""

_POLL_S = 0.2
"""How often to ask whether to stop."""

_END_S = 5.0
"""For what this process does itself when all is given up."""


class Call(Protocol):
    """Something to do, which travels to a helper."""

    @property
    def weight(self) -> int:
        """Bytes of memory that it may take."""
        ...

    @property
    def told(self) -> str:
        """What it is about, for a person."""
        ...

    def __call__(self, work: Work, /) -> Any:
        """Do it."""
        ...


C = TypeVar("C", bound=Call)


class Grace:
    """Says that time is over, some time after somebody wanted the work to end."""

    def __init__(self, stop: Stop, seconds: float) -> None:
        self._stop = stop
        self._seconds = seconds
        self._asked: float | None = None

    def over(self) -> bool:
        """Whether it is."""
        if self._asked is None and self._stop():
            self._asked = time.monotonic()
        return self._asked is not None and time.monotonic() - self._asked >= self._seconds


@dataclass(frozen=True)
class _Outcome:
    """What came of a call; or of a helper that never came to one."""

    call: Any
    result: Any
    error: BaseException | None


class Crew:
    """Those that work: a thread of this process, and helpers with a thread each. One alone is the caller's thread.

    Args:
        work: what calls are given in this process.
        helpers: that there are already; it starts what is missing.
        size: how many work.
    """

    def __init__(self, work: Work, helpers: Helpers, size: int) -> None:
        self.size = size
        self._work = work
        self._helpers = helpers
        self._calls: SimpleQueue[Any] = SimpleQueue()
        self._outcomes: SimpleQueue[_Outcome] = SimpleQueue()
        self._ready = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []

    def run(self, calls: Iterator[C | None], over: Callable[[], bool]) -> Iterator[tuple[C, Any]]:
        """Do calls, as they are drawn, and give back what came of each, in any order.

        Args:
            calls: what to do; None where that depends on what is under way.
            over: asked now and then; once it says True the rest is given up, and so is this crew.

        Raises:
            Whatever a call raises first; the others are given up then.
        """
        if self.size > 1:
            yield from self._run_together(calls, over)
            return
        for call in calls:
            if call is None or over():
                return
            yield call, call(self._work)

    def settle(self) -> None:
        """Wait until all are there to work."""
        if self.size > 1:
            self._start()
            for _ in range(self.size):
                self._ready.acquire()
            self._ready.release(self.size)

    def end(self) -> None:
        """Give up what is under way."""
        self._work.given_up = True
        with suppress(Empty):
            while True:
                self._calls.get_nowait()
        self._helpers.end()
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join(_END_S)
        self._threads = []

    def _run_together(self, calls: Iterator[C | None], over: Callable[[], bool]) -> Iterator[tuple[C, Any]]:
        self._start()
        queue, under_way, held = _Drawn(calls), 0, 0
        try:
            while True:
                while under_way < _AHEAD * self.size and (call := queue.first()) is not None:
                    if under_way and held + call.weight > BYTES_PER_WORKER * self.size:
                        break
                    self._calls.put(queue.take())
                    under_way, held = under_way + 1, held + call.weight
                if not under_way or (outcome := self._wait(over)) is None:
                    return
                under_way, held = under_way - 1, held - outcome.call.weight
                yield outcome.call, outcome.result
        finally:
            if under_way:
                self.end()

    def _wait(self, over: Callable[[], bool]) -> _Outcome | None:
        """The next outcome; None where there is no time for it any more."""
        while not over():
            try:
                outcome = self._outcomes.get(timeout=_POLL_S)
            except Empty:
                continue
            if outcome.error is not None:
                raise outcome.error
            return outcome
        return None

    def _start(self) -> None:
        if self._threads:
            return
        self._helpers.grow(self.size - 1)
        setup = pickle.dumps(Setup(self._work.context, self._work.files))
        targets: list[Callable[[], None]] = [self._do_here]
        targets += [partial(self._do_there, each, setup) for each in self._helpers.all]
        # Such as end with the process: one that is stuck in a read cannot hold up the end.
        self._threads = [threading.Thread(target=do, daemon=True) for do in targets]
        for thread in self._threads:
            thread.start()

    def _do_here(self) -> None:
        self._ready.release()
        self._do(lambda call: call(self._work))

    def _do_there(self, helper: Helper, setup: bytes) -> None:
        try:
            helper.begin(setup)
        except HelperLostError as error:
            self._outcomes.put(_Outcome(None, None, _lost(error, "before it had begun")))
            return
        finally:
            self._ready.release()
        self._do(helper.call)

    def _do(self, do: Callable[[Call], Any]) -> None:
        while (call := self._calls.get()) is not None:
            try:
                outcome = _Outcome(call, do(call), None)
            except HelperLostError as error:
                outcome = _Outcome(call, None, _lost(error, f"over {call.told}"))
            except BaseException as error:
                outcome = _Outcome(call, None, error)
            self._outcomes.put(outcome)
            # Lest a thread that waits keeps what it did last.
            del call, outcome


class _Drawn:
    """Calls one by one, of which the next may be looked at before it is taken."""

    def __init__(self, calls: Iterator[Any]) -> None:
        self._calls = calls
        self._first: Any = None

    def first(self) -> Any:
        """The next call; None where there is none, as of now."""
        if self._first is None:
            self._first = next(self._calls, None)
        return self._first

    def take(self) -> Any:
        """The same, and go on."""
        call, self._first = self._first, None
        return call


def _lost(error: HelperLostError, when: str) -> ArmBatchError:
    return ArmBatchError(
        f"a process of this run was lost {when} ({error}): a library crashed, or memory ran out; run the same "
        "command again to go on; with --executor ray an image that does it each time costs only itself"
    )
