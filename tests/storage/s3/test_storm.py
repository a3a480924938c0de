"""Many operations through a proxy that hurts one request in six."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from arm_batch.storage.retry import RetryPolicy
from arm_batch.storage.s3.store import S3Store
from tests.faults.plan import Fault
from tests.faults.proxy import FaultyS3

KEYS = [f"{number:03d}" for number in range(100)]

CONTENDERS = 3

THREADS = 4


@pytest.fixture
def direct(request: pytest.FixtureRequest, s3_endpoint: str) -> S3Store:
    # Always the same name: what happens to a request follows from its path.
    store = S3Store(bucket=request.node.name.replace("_", "-"), prefix="p", endpoint_url=s3_endpoint)
    store.client.create_bucket(Bucket=store.bucket)
    return store


@pytest.fixture
def proxy(s3_endpoint: str) -> Iterator[FaultyS3]:
    with FaultyS3(
        s3_endpoint,
        error_rate=0.05,
        lost_rate=0.05,
        reset_rate=0.02,
        truncate_rate=0.02,
        delay_rate=0.05,
        delay_s=0.05,
        seed=4,
    ) as proxy:
        yield proxy


@pytest.fixture
def store(direct: S3Store, proxy: FaultyS3) -> S3Store:
    return replace(
        direct, endpoint_url=proxy.url, retry_policy=RetryPolicy(first_wait_s=0.005, longest_wait_s=0.1)
    )


def content(key: str, version: object) -> bytes:
    """Some bytes that nobody else writes, as long as an image now and then."""
    return f"{key} by {version};".encode() * random.Random(key).choice([1, 10, 5_000])


def test_writes_and_reads(store: S3Store, direct: S3Store, proxy: FaultyS3) -> None:
    def write_and_read(key: str) -> bytes:
        store.write(key, content(key, "writer"))
        return store.read(key)

    with ThreadPoolExecutor(THREADS) as threads:
        read = dict(zip(KEYS, threads.map(write_and_read, KEYS), strict=True))
    expected = {key: content(key, "writer") for key in KEYS}
    assert read == expected
    assert {info.key: direct.read(info.key) for info in direct.list()} == expected
    assert [info.key for info in store.list()] == KEYS
    hurt = (Fault.ERROR, Fault.SLOW_DOWN, Fault.LOST, Fault.RESET, Fault.TRUNCATE, Fault.DELAY)
    assert min(proxy.counts[fault] for fault in hurt) >= 1


def test_creates(store: S3Store, direct: S3Store, proxy: FaultyS3) -> None:
    """Each key is wanted by three at once: who is told so has it, and nobody else is."""
    wanted = [(key, contender) for key in KEYS for contender in range(CONTENDERS)]

    def create(want: tuple[str, int]) -> bool:
        return store.create(want[0], content(*want))

    with ThreadPoolExecutor(THREADS) as threads:
        told = dict(zip(wanted, threads.map(create, wanted), strict=True))
    found = {info.key: direct.read(info.key) for info in direct.list()}
    assert sorted(found) == KEYS
    owns = {(key, contender): found[key] == content(key, contender) for key, contender in wanted}
    assert told == owns
    assert sum(owns.values()) == len(KEYS)
    lost_puts = [seen for seen in proxy.seen if seen.method == "PUT" and seen.fault is Fault.LOST]
    assert len(lost_puts) >= 5
