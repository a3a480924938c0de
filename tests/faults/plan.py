"""Which request meets which fault: by a script, or by chance that repeats itself."""

from __future__ import annotations

import enum
import random
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


class Fault(enum.Enum):
    """What happens to one request."""

    PASS = "forwarded, and the answer sent back"
    ERROR = "answered 500 InternalError, not forwarded"
    SLOW_DOWN = "answered 503 SlowDown, not forwarded"
    CONFLICT = "answered 409 ConditionalRequestConflict, not forwarded"
    GONE = "answered 404 NoSuchUpload, not forwarded"
    EXPIRED = "answered 400 ExpiredToken, not forwarded"
    DENIED = "answered 403 AccessDenied, not forwarded"
    WRONG_KEY = "answered 403 InvalidAccessKeyId, not forwarded"
    UNSUPPORTED = "answered 501 NotImplemented, not forwarded"
    RESET = "connection reset, not forwarded"
    LOST = "forwarded, then the connection is reset instead of the answer"
    LOST_LATE = "connection reset at once, forwarded after `delay_s`: takes effect when nobody expects it any more"
    DELAY = "forwarded after `delay_s`"
    STALL = "forwarded; half of the answer's body, then silence until the client hangs up"
    SILENCE = "not forwarded and never answered: ends when the client hangs up"
    TRUNCATE = "forwarded; half of the answer's body, then the connection ends"
    EMPTY = "forwarded; the answer's headers, then the connection ends"
    FLIP = "forwarded; one bit of the answer's body is another"


BODY_FAULTS = frozenset({Fault.STALL, Fault.TRUNCATE, Fault.EMPTY, Fault.FLIP})
"""They need an answer with a body: by chance they meet GET only; scripted elsewhere, they pass."""


@dataclass(frozen=True)
class Seen:
    """One request, and what was done to it."""

    method: str
    path: str
    fault: Fault


class FaultPlan:
    """Hands out faults, and remembers; see `FaultyS3`."""

    def __init__(self, rates: Mapping[Fault, float], seed: int) -> None:
        self._rates, self._seed = rates, seed
        self._lock = threading.Lock()
        self._script: deque[tuple[Fault, str, str]] = deque()
        self._times: Counter[tuple[str, str]] = Counter()
        self._seen: list[Seen] = []

    @property
    def seen(self) -> list[Seen]:
        """All requests so far."""
        with self._lock:
            return list(self._seen)

    def forget(self) -> None:
        """Drop the script and what was seen."""
        with self._lock:
            self._script.clear()
            self._times.clear()
            self._seen.clear()

    def script(self, faults: Iterable[Fault], method: str, path: str) -> None:
        """Each of `faults`, in order, meets one request of `method`, if given, with `path` in its path."""
        with self._lock:
            self._script.extend((fault, method, path) for fault in faults)

    def next(self, method: str, path: str) -> Fault:
        """What is to happen to the request that has just come in."""
        with self._lock:
            fault = self._scripted(method, path) or self._by_chance(method, path)
            self._seen.append(Seen(method, path, fault))
            return fault

    def _scripted(self, method: str, path: str) -> Fault | None:
        for entry in self._script:
            fault, for_method, in_path = entry
            if for_method in ("", method) and in_path in path:
                self._script.remove(entry)
                return fault
        return None

    def _by_chance(self, method: str, path: str) -> Fault:
        number = self._times[method, path]
        self._times[method, path] += 1
        drawn = random.Random(f"{self._seed} {method} {path} {number}").random()
        for fault, rate in self._rates.items():
            drawn -= rate
            if drawn < 0:
                return fault if method == "GET" or fault not in BODY_FAULTS else Fault.PASS
        return Fault.PASS
