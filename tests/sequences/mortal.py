"""Drivers that die, are told to stop, or are joined by another driver, at their n-th write."""

from __future__ import annotations

import functools
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from arm_batch.storage.local import LocalStore
from arm_batch.storage.s3.store import S3Store
from tests.sequences.fake_s3 import FakeClient

READING = {"list", "exists", "stat", "read", "fetch", "open", "fetch_range", "scratch_folder"}
"""What stores do without changing anything; whatever else they do is a write."""

_NO_REQUESTS = {"path", "key", "readable", "url", "client", "exceptions"}

End = Literal["before", "after", "torn", "term"]
"""Killed before a write takes effect, after it, in its midst; or told by SIGTERM to stop."""


class Killed(BaseException):
    """Ends a driver as SIGKILL would: what it does on the way out has no effect any more."""


@dataclass
class Driver:
    """One process, as far as its writes go.

    Attributes:
        ends_at: number of the write that it ends at; 0 for none.
        end: how.
        joined_at: number of the write before which `guest` runs; 0 for none.
        guest: what another driver does meanwhile.
        writes: so far.
        dead: whether it has been killed.
    """

    ends_at: int = 0
    end: End = "before"
    joined_at: int = 0
    guest: Callable[[], None] | None = None
    writes: int = 0
    dead: bool = False
    inside: bool = field(default=False, repr=False)

    def write(self, store: Any, effect: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Let a write take effect, or what is to happen in its place."""
        if self.inside:
            # Part of another write, such as a move that is a copy and a deletion.
            return effect(store, *arguments, **named)
        if self.dead:
            raise Killed
        self.writes += 1
        if self.writes == self.joined_at and self.guest is not None:
            self.guest()
        last = self.writes == self.ends_at
        if last and self.end == "term":
            os.kill(os.getpid(), signal.SIGTERM)
        elif last and self.end in ("before", "torn"):
            self.dead = True
            if self.end == "torn" and isinstance(store, LocalStore):
                _tear(store, arguments)
            raise Killed
        self.inside = True
        try:
            result = effect(store, *arguments, **named)
        finally:
            self.inside = False
        if last and self.end == "after":
            self.dead = True
            raise Killed
        return result


_drivers: list[Driver] = []


@contextmanager
def driven(driver: Driver) -> Iterator[None]:
    """While the block runs, all writes are those of `driver`, but for those of drivers in blocks inside."""
    _drivers.append(driver)
    try:
        yield
    finally:
        _drivers.pop()


@contextmanager
def mortal() -> Iterator[None]:
    """While the block runs, writes of stores go through drivers.

    Of a server on the network each call of the store is a write; of the one in this process each request.
    """
    with pytest.MonkeyPatch.context() as patch:
        for kind in (LocalStore, S3Store, FakeClient):
            for name in dir(kind):
                writes = not name.startswith("_") and name not in READING | _NO_REQUESTS
                if writes and callable(getattr(kind, name)) and name not in FakeClient.READING:
                    patch.setattr(kind, name, _through_driver(getattr(kind, name)))
        yield


def _through_driver(effect: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(effect)
    def through(store: Any, *arguments: Any, **named: Any) -> Any:
        requests = isinstance(store, S3Store) and isinstance(store.client, FakeClient)
        if not _drivers or requests:
            return effect(store, *arguments, **named)
        return _drivers[-1].write(store, effect, *arguments, **named)

    return through


def _tear(store: LocalStore, arguments: tuple[Any, ...]) -> None:
    """Leave what a process leaves that dies while it writes a file: half of it, under a temporary name."""
    if len(arguments) == 2 and isinstance(arguments[1], bytes):
        target = store.path(arguments[0])
        target.parent.mkdir(parents=True, exist_ok=True)
        half = arguments[1][: len(arguments[1]) // 2]
        target.with_name(f".arm-batch-{uuid.uuid4().hex}.tmp").write_bytes(half)
