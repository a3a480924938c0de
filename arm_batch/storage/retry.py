"""How long a store that fails is waited for."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Time-outs of one request, how often and how long it is repeated when it fails for a passing reason, and when
    a person is told that it lasts.

    The defaults outlast the restart of a server and a spell of throttling: a request that fails at once is
    repeated for one to two and a half minutes, one that is not answered at all for about six.

    Attributes:
        attempts: requests at most, the first one included.
        first_wait_s: after the first failure; each further wait is twice as long.
        longest_wait_s: of one wait.
        total_s: after the begin of the first request no other begins later than this.
        connect_s: time-out of connecting.
        read_s: time-out of each piece of an answer, and of sending each piece of a request.
        slowest_bytes_per_s: a body that takes `read_s` longer than at this speed is given up.
        silent_s: what takes longer, wait and failed request together, is told.
        first_word_s: what has had no result for so long is told, whatever it waits for.
        now: a clock, in seconds.
        sleep: waits so many seconds.
    """

    attempts: int = 12
    first_wait_s: float = 0.2
    longest_wait_s: float = 30.0
    total_s: float = 300.0
    connect_s: float = 10.0
    read_s: float = 60.0
    slowest_bytes_per_s: float = 16_384.0
    silent_s: float = 1.0
    first_word_s: float = 10.0
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @property
    def most_s(self) -> float:
        """What is not answered at all is given up after so many seconds at the latest."""
        return self.total_s + self.connect_s + self.read_s

    def waits(self, began: float) -> Iterator[float]:
        """Seconds to wait after each failure; the end means to give up. `began`: when the first request did."""
        for number in range(self.attempts - 1):
            # Half of it by chance, lest all workers that failed together come back together.
            wait_s = min(self.longest_wait_s, self.first_wait_s * 2**number) * random.uniform(0.5, 1)
            if self.now() - began + wait_s > self.total_s:
                return
            yield wait_s


DEFAULT_RETRY_POLICY = RetryPolicy()
