"""Sending requests to S3: the client of a process, and repeating what failed and may pass."""

from __future__ import annotations

import functools
import itertools
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import boto3
from botocore.config import Config

from arm_batch.errors import StoreError
from arm_batch.store.patience import DEFAULT_PATIENCE, Patience
from arm_batch.store.s3_errors import FAILURES, explained

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

_SILENT_S = 1.0
"""Waits shorter than this are too common to be told."""

_log = logging.getLogger(__name__)


@functools.lru_cache(maxsize=8)
def s3_client(endpoint_url: str | None, patience: Patience = DEFAULT_PATIENCE) -> S3Client:
    """This process's client for an endpoint; clients are safe to share between threads.

    It sends every request once. botocore's own repetitions do not cover bodies that break off, must not repeat a
    conditional PUT blindly, and end for the whole process when their quota is used up; see `repeated`.
    """
    config = Config(
        connect_timeout=patience.connect_s,
        read_timeout=patience.read_s,
        retries={"total_max_attempts": 1, "mode": "standard"},
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
        reading: whether a missing or forbidden object has an exception of its own.
        again: whether an attempt that failed so is to be repeated.

    Raises:
        StoreError: it failed for good, or patience ran out; see `explained` for others.
    """
    waits = patience.waits()
    started = time.monotonic()
    for number in itertools.count(1):
        try:
            return attempt()
        except FAILURES as error:
            failure = explained(error, where, reading)
            if not again(error):
                raise failure from error
            wait_s = next(waits, None)
            if wait_s is None:
                taken = f"{number} attempts in {time.monotonic() - started:.0f} s"
                raise StoreError(f"{failure}; gave up after {taken}") from error
        if wait_s >= _SILENT_S:
            _log.warning("%s; attempt %d follows in %.0f s", failure, number + 1, wait_s)
        time.sleep(wait_s)
    raise AssertionError("unreachable")
