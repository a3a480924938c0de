"""Sending requests to S3: the client of a process, and repeating what failed and may pass."""

from __future__ import annotations

import functools
import itertools
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import boto3
from botocore.config import Config

from arm_batch.errors import StoreError
from arm_batch.storage.retry import DEFAULT_PATIENCE, Patience
from arm_batch.storage.s3.errors import FAILURES, explained
from arm_batch.storage.waiting import waits

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

_CONNECTIONS = 64
"""Kept open to an endpoint: more than threads of a process read at once."""

_making = threading.Lock()

_log = logging.getLogger(__name__)


def s3_client(endpoint_url: str | None, patience: Patience = DEFAULT_PATIENCE) -> S3Client:
    """This process's client for an endpoint; clients are safe to share between threads.

    It sends every request once. botocore's own repetitions do not cover bodies that break off, must not repeat a
    conditional PUT blindly, and end for the whole process when their quota is used up; see `repeated`.
    """
    # Threads that come at once must not each make one, which takes longer than most requests.
    with _making:
        return _client(endpoint_url, patience.connect_s, patience.read_s)


@functools.lru_cache(maxsize=8)
def _client(endpoint_url: str | None, connect_s: float, read_s: float) -> S3Client:
    config = Config(
        connect_timeout=connect_s,
        read_timeout=read_s,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=_CONNECTIONS,
    )
    # A session of its own: boto3's default session is not safe to use from several threads.
    return boto3.session.Session().client("s3", endpoint_url=endpoint_url, config=config)


def repeated(
    attempt: Callable[[], T],
    patience: Patience,
    where: str,
    reading: bool,
    again: Callable[[Exception], bool],
) -> T:
    """`attempt()`, as often as it takes; the one place where requests are repeated.

    Args:
        attempt: one request and taking in its answer.
        patience: how often, and with what waits between.
        where: URL of what is asked for.
        reading: whether it is one object, whose own fault has an exception of its own.
        again: whether an attempt that failed so is to be repeated.

    Raises:
        StoreError: it failed for good, or patience ran out; see `explained` for others.
    """
    outlook = f"given up when there is no answer within {patience.most_s:.0f} s in all"
    with waits.over(where, outlook, patience.first_word_s) as tell_no_more:
        return _repeated(attempt, patience, lambda error: explained(error, where, reading), again, tell_no_more)


def _repeated(
    attempt: Callable[[], T],
    patience: Patience,
    explain: Callable[[Exception], Exception],
    again: Callable[[Exception], bool],
    tell_no_more: Callable[[], None],
) -> T:
    began = patience.now()
    pauses = patience.waits(began)
    for number in itertools.count(1):
        sent = patience.now()
        try:
            return attempt()
        except FAILURES as error:
            failure = explain(error)
            if not again(error):
                raise failure from error
            pause_s = next(pauses, None)
            if pause_s is None:
                taken = f"{number} attempts in {patience.now() - began:.0f} s"
                raise StoreError(f"{failure}; gave up after {taken}") from error
        failed_s = patience.now() - sent
        if failed_s + pause_s >= patience.silent_s:
            tell_no_more()
            _log.warning(
                "%s after %.0f s; attempt %d of %d follows in %.0f s, none later than in %.0f s",
                failure,
                failed_s,
                number + 1,
                patience.attempts,
                pause_s,
                max(pause_s, patience.total_s - (patience.now() - began)),
            )
        patience.sleep(pause_s)
    raise AssertionError("unreachable")
