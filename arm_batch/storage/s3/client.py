"""Sending requests to S3: the client of a process, and repeating what failed and may pass."""

from __future__ import annotations

import functools
import itertools
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from arm_batch.errors import StoreError
from arm_batch.storage.retry import DEFAULT_RETRY_POLICY, RetryPolicy
from arm_batch.storage.s3.errors import FAILURES, explained
from arm_batch.storage.waiting import waits

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

_CONNECTIONS = 64
"""Kept open to an endpoint: more than threads of a process read at once."""

_making = threading.Lock()

_log = logging.getLogger(__name__)


def s3_client(endpoint_url: str | None, retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY) -> S3Client:
    """This process's client for an endpoint; clients are safe to share between threads.

    It sends every request once. botocore's own repetitions do not cover bodies that break off, must not repeat a
    conditional PUT blindly, and end for the whole process when their quota is used up; see `repeated`.
    """
    # Threads that come at once must not each make one, which takes longer than most requests.
    with _making:
        return _client(endpoint_url, retry_policy.connect_s, retry_policy.read_s)


@functools.lru_cache(maxsize=8)
def _client(endpoint_url: str | None, connect_s: float, read_s: float) -> S3Client:
    config = Config(
        connect_timeout=connect_s,
        read_timeout=read_s,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=_CONNECTIONS,
    )
    # A session of its own: boto3's default session is not safe to use from several threads.
    session = boto3.session.Session()
    if session.get_credentials() is None:
        # Public buckets are read without any.
        config = config.merge(Config(signature_version=UNSIGNED))
    return session.client("s3", endpoint_url=endpoint_url, config=config)


def repeated(
    attempt: Callable[[], T],
    retry_policy: RetryPolicy,
    where: str,
    reading: bool,
    again: Callable[[Exception], bool],
) -> T:
    """`attempt()`, as often as it takes; the one place where requests are repeated.

    Args:
        attempt: one request and taking in its answer.
        retry_policy: how often, and with what waits between.
        where: URL of what is asked for.
        reading: whether it is one object, whose own fault has an exception of its own.
        again: whether an attempt that failed so is to be repeated.

    Raises:
        StoreError: it failed for good, or its retries ran out; see `explained` for others.
    """
    forecast = f"given up when there is no answer within {retry_policy.most_s:.0f} s in all"
    with waits.over(where, forecast, retry_policy.first_word_s) as tell_no_more:
        return _repeated(
            attempt, retry_policy, lambda error: explained(error, where, reading), again, tell_no_more
        )


def _repeated(
    attempt: Callable[[], T],
    retry_policy: RetryPolicy,
    explain: Callable[[Exception], Exception],
    again: Callable[[Exception], bool],
    tell_no_more: Callable[[], None],
) -> T:
    began = retry_policy.now()
    pauses = retry_policy.waits(began)
    for number in itertools.count(1):
        sent = retry_policy.now()
        try:
            return attempt()
        except FAILURES as error:
            failure = explain(error)
            if not again(error):
                raise failure from error
            pause_s = next(pauses, None)
            if pause_s is None:
                taken = f"{number} attempts in {retry_policy.now() - began:.0f} s"
                raise StoreError(f"{failure}; gave up after {taken}") from error
        failed_s = retry_policy.now() - sent
        if failed_s + pause_s >= retry_policy.silent_s:
            tell_no_more()
            _log.warning(
                "%s after %.0f s; attempt %d of %d follows in %.0f s, none later than in %.0f s",
                failure,
                failed_s,
                number + 1,
                retry_policy.attempts,
                pause_s,
                max(pause_s, retry_policy.total_s - (retry_policy.now() - began)),
            )
        retry_policy.sleep(pause_s)
    raise AssertionError("unreachable")
