"""Doing several things at once that each wait for a disk or a network: results in order, memory bounded."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

from arm_batch.core.stop import Stop, never

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 16
"""Requests of one process to a store: what hides 50 ms of latency where an image takes a core some 5 ms."""

BYTES_AHEAD = 64 << 20
"""Read and not yet worked on, in one process."""

_ASK_EVERY_S = 0.5
"""How often `stop` is asked while nothing comes."""


def overlapped(
    act: Callable[[T], R],
    items: Iterable[T],
    weight: Callable[[T], int] = lambda _: 0,
    stop: Stop = never,
    at_once: int = AT_ONCE,
    most: int = BYTES_AHEAD,
) -> Iterator[Callable[[], R]]:
    """Do something with each item on threads, ahead of the caller, and give back the outcomes in order.

    Items are taken in order, by the caller's thread. What is under way, done and not yet taken, or in the hands of
    the caller, is at most `at_once` items that weigh `most` together, but always at least one.

    The threads are such as end with the process: one that is stuck in a read cannot hold up the end.

    Args:
        act: what to do; it must bear to be called from several threads.
        items: what to do it with.
        weight: of the outcome for an item, in bytes.
        stop: asked while the next outcome does not come; then there are no more.
        at_once: items.
        most: bytes.

    Yields:
        For each item a function that returns what `act` returned, or raises what it raised.
    """
    ahead = _Ahead(_Threads(act), weight, at_once, most)
    coming = _Peekable(items)
    try:
        while True:
            while ahead.may_grow and (item := coming.first) and ahead.begins(item[0]):
                coming.take()
            if ahead.first is None or not _has_come(ahead.first, stop):
                return
            yield ahead.first.result
            ahead.drop_first()
    finally:
        ahead.end()


class _Ahead(Generic[T, R]):
    """What is under way, done and not yet taken, or in the hands of the caller; bounds as of `overlapped`."""

    def __init__(self, threads: _Threads[T, R], weight: Callable[[T], int], at_once: int, most: int) -> None:
        self._threads, self._weight, self._at_once, self._most = threads, weight, at_once, most
        self._begun: deque[tuple[Future[R], int]] = deque()
        self._held = 0

    @property
    def first(self) -> Future[R] | None:
        """The outcome whose turn it is; None where nothing is begun."""
        return self._begun[0][0] if self._begun else None

    @property
    def may_grow(self) -> bool:
        """Whether there may be one more item, if it is not too heavy."""
        return len(self._begun) < self._at_once

    def begins(self, item: T) -> bool:
        """Begin with an item, unless it is too heavy beside what is there."""
        heavy = self._weight(item)
        if self._begun and self._held + heavy > self._most:
            return False
        self._begun.append((self._threads.begin(item, len(self._begun) + 1), heavy))
        self._held += heavy
        return True

    def drop_first(self) -> None:
        """The caller is done with the first outcome."""
        self._held -= self._begun.popleft()[1]

    def end(self) -> None:
        """Begin nothing that waits, and let the threads end."""
        for future, _ in self._begun:
            future.cancel()
        self._threads.end()


class _Peekable(Generic[T]):
    """Items one by one, of which the next may be looked at before it is taken."""

    def __init__(self, items: Iterable[T]) -> None:
        self._source = iter(items)
        self._first: list[T] = []

    @property
    def first(self) -> list[T]:
        """The next item in a list; an empty list where there is none."""
        if not self._first:
            self._first = list(itertools.islice(self._source, 1))
        return self._first

    def take(self) -> None:
        """Go on to the item after."""
        self._first = []


class _Threads(Generic[T, R]):
    """Threads that take items from one queue, started as they are needed."""

    def __init__(self, act: Callable[[T], R]) -> None:
        self._act = act
        self._jobs: SimpleQueue[tuple[Future[R], T] | None] = SimpleQueue()
        self._started = 0

    def begin(self, item: T, at_once: int) -> Future[R]:
        """Have `item` worked on, by one of at least `at_once` threads."""
        if self._started < at_once:
            threading.Thread(target=_work, args=(self._act, self._jobs), daemon=True).start()
            self._started += 1
        future: Future[R] = Future()
        self._jobs.put((future, item))
        return future

    def end(self) -> None:
        """Let the threads end once the queue is empty."""
        for _ in range(self._started):
            self._jobs.put(None)


def _work(act: Callable[[T], R], jobs: SimpleQueue[tuple[Future[R], T] | None]) -> None:
    while (job := jobs.get()) is not None:
        future, item = job
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(act(item))
            except BaseException as error:
                future.set_exception(error)
        # Lest a thread that waits keeps what it read last.
        del job, future, item


def _has_come(future: Future[R], stop: Stop) -> bool:
    while True:
        try:
            future.exception(_ASK_EVERY_S)
            return True
        except TimeoutError:
            if stop():
                return False
