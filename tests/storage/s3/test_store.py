from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError, SSLError

from arm_batch.errors import StoreError, UnsupportedError
from arm_batch.storage.base import ObjectInfo
from arm_batch.storage.retry import RetryPolicy
from arm_batch.storage.s3 import client
from arm_batch.storage.s3 import store as store_module
from arm_batch.storage.s3.client import s3_client
from arm_batch.storage.s3.store import S3Store
from tests.faults.plan import Fault
from tests.faults.proxy import FaultyS3


def no_wait(seconds: float) -> None:
    """Does not sleep."""
    assert 0 <= seconds <= 30


# Time-outs that no machine is too busy for: an answer that comes late is repeated, and meets no fault then.
FAST = RetryPolicy(attempts=6, first_wait_s=0.005, longest_wait_s=0.02, connect_s=60, read_s=60, sleep=no_wait)


class Clock:
    """Time passes only by sleeping."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


OLD, NEW = b"old " * 30_000, b"new " * 10


@pytest.fixture
def direct(s3_bucket: str, s3_endpoint: str) -> S3Store:
    """A store with one object in it, and no proxy before it."""
    store = S3Store(bucket=s3_bucket, prefix="p", endpoint_url=s3_endpoint)
    store.write("there", OLD)
    return store


@pytest.fixture(scope="module")
def proxy_of_all(s3_endpoint: str) -> Iterator[FaultyS3]:
    # A client for another endpoint takes longer to make than most tests to run.
    with FaultyS3(s3_endpoint) as proxy:
        yield proxy


@pytest.fixture
def proxy(proxy_of_all: FaultyS3) -> FaultyS3:
    """A proxy that hurts nothing yet and has seen nothing."""
    proxy_of_all.forget()
    return proxy_of_all


@pytest.fixture
def store(direct: S3Store, proxy: FaultyS3) -> S3Store:
    """The same store through the proxy."""
    return replace(direct, endpoint_url=proxy.url, retry_policy=FAST)


OPERATIONS: dict[str, tuple[Callable[[S3Store, ObjectInfo], Any], Any]] = {
    "read": (lambda store, _: store.read("there"), OLD),
    "range": (lambda store, info: store.fetch_range(info.key, info.etag, 5, 100_000), OLD[5:100_005]),
    "stat": (lambda store, _: store.stat("there").size, len(OLD)),
    "list": (lambda store, _: [info.key for info in store.list()], ["there"]),
    "exists": (lambda store, _: store.exists(), True),
    "write": (lambda store, _: store.write("there", NEW), None),
    "create": (lambda store, _: store.create("new", NEW), True),
    "create, refused": (lambda store, _: store.create("there", NEW), False),
    "delete": (lambda store, _: store.delete("there"), None),
}


def requests_after(fault: Fault, operation: str) -> int:
    """How many requests an operation takes when its first one meets `fault`."""
    if operation == "create":
        # After a lost answer the object is found and is ours; else PUT, a look that finds nothing, PUT.
        return 2 if fault is Fault.LOST else 3
    # The refusal, or the failed PUT, is followed by a look at what is there.
    return 2


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.SLOW_DOWN, Fault.RESET, Fault.LOST])
def test_what_passes_is_repeated(
    store: S3Store, direct: S3Store, proxy: FaultyS3, fault: Fault, operation: str
) -> None:
    act, outcome = OPERATIONS[operation]
    info = direct.stat("there")
    proxy.script(fault)
    assert act(store, info) == outcome
    assert proxy.counts[fault] == 1
    assert len(proxy.seen) == requests_after(fault, operation)
    content = {info.key: direct.read(info.key) for info in direct.list()}
    assert content == {
        "write": {"there": NEW},
        "create": {"there": OLD, "new": NEW},
        "delete": {},
    }.get(operation, {"there": OLD})


@pytest.mark.parametrize("operation", ["read", "range", "list", "exists"])
@pytest.mark.parametrize("fault", [Fault.TRUNCATE, Fault.EMPTY])
def test_bodies_that_break_off_are_fetched_again(
    store: S3Store, direct: S3Store, proxy: FaultyS3, fault: Fault, operation: str
) -> None:
    act, outcome = OPERATIONS[operation]
    proxy.script(fault, fault)
    assert act(store, direct.stat("there")) == outcome
    assert (proxy.counts[fault], len(proxy.seen)) == (2, 3)


def test_a_flipped_bit_is_noticed(store: S3Store, proxy: FaultyS3) -> None:
    proxy.script(Fault.FLIP)
    assert store.read("there") == OLD
    assert len(proxy.seen) == 2


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.STALL])
def test_what_is_not_answered_is_asked_again_and_told(
    store: S3Store, proxy: FaultyS3, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    # Attempts enough: a busy machine may let further requests run into so short a time-out.
    impatient = replace(store, retry_policy=replace(FAST, read_s=0.2, attempts=1000, silent_s=0.1))
    proxy.script(fault, fault)
    assert impatient.read("there") == OLD
    assert proxy.counts[fault] == 2
    told = [record.getMessage() for record in caplog.records if record.name == client.__name__]
    assert f"{store.url}/there: no answer from " in told[0]
    assert "attempt 2 of 1000 follows in 0 s, none later than in " in told[0]


def test_a_listing_goes_on_after_a_fault_between_its_pages(
    store: S3Store, direct: S3Store, proxy: FaultyS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        direct.write(f"n/{number}", b"")
    real = store.client.list_objects_v2
    monkeypatch.setattr(store.client, "list_objects_v2", lambda **request: real(**request, MaxKeys=2))
    listing = store.list("n/")
    first = [next(listing), next(listing)]
    proxy.script(Fault.TRUNCATE, Fault.ERROR)
    assert [info.key for info in (*first, *listing)] == [f"n/{number}" for number in range(5)]
    assert len(proxy.seen) == 5


PERMANENT = {
    Fault.EXPIRED: (StoreError, "token has expired: renew the credentials and run the same command again$"),
    Fault.WRONG_KEY: (StoreError, "Access Key Id does not exist in our records: correct the credentials"),
    Fault.DENIED: (StoreError, "Access Denied: allow it to these credentials, or use others$"),
    Fault.UNSUPPORTED: (UnsupportedError, "(?i:not implemented)$"),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", PERMANENT)
def test_what_does_not_pass_is_told_at_once(
    store: S3Store, direct: S3Store, proxy: FaultyS3, fault: Fault, operation: str
) -> None:
    kind: type[Exception]
    kind, message = PERMANENT[fault]
    if fault is Fault.DENIED and operation in ("read", "range", "stat"):
        kind, message = PermissionError, "Access Denied$"
    info = direct.stat("there")
    # What HEAD cannot tell, the GET after it does. After a 400 botocore asks for the bucket's region in between.
    expected = {Fault.EXPIRED: 3, Fault.UNSUPPORTED: 1}.get(fault, 2) if operation == "stat" else 1
    proxy.script(*[fault] * expected)
    with pytest.raises(kind, match=rf"^s3://{store.bucket}/p\S*: .*{message}") as caught:
        OPERATIONS[operation][0](store, info)
    if kind is StoreError:
        assert caught.type is StoreError
    assert len(proxy.seen) == expected
    assert [(info.key, info.size) for info in direct.list()] == [("there", len(OLD))]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_ceiling_in_attempts(store: S3Store, direct: S3Store, proxy: FaultyS3, operation: str) -> None:
    info = direct.stat("there")
    proxy.script(*[Fault.SLOW_DOWN] * 100)
    with pytest.raises(StoreError, match=r"(request rate|Service Unavailable); gave up after 6 attempts in \d+ s"):
        OPERATIONS[operation][0](store, info)
    # `create` looks after each PUT whether the object is there, and neither multiplies the other.
    assert len(proxy.seen) == (12 if operation.startswith("create") else 6)


def test_the_ceiling_in_seconds(store: S3Store, proxy: FaultyS3) -> None:
    clock = Clock()
    hasty = replace(FAST, attempts=1000, longest_wait_s=0.1, total_s=0.5, now=clock.now, sleep=clock.sleep)
    proxy.script(*[Fault.ERROR] * 1000)
    with pytest.raises(StoreError, match=r"gave up after \d+ attempts in 0 s"):
        replace(store, retry_policy=hasty).read("there")
    assert 0.4 <= clock.seconds <= 0.5
    assert 5 < len(proxy.seen) < 20


def test_failures_of_one_object_do_not_use_up_the_patience_for_others(store: S3Store, proxy: FaultyS3) -> None:
    # botocore's own repetitions end after some 35 failures in one process.
    proxy.script(*[Fault.ERROR] * 5, path="/p/there")
    for number in range(12):
        proxy.script(*[Fault.ERROR] * 5, path=f"/p/{number}")
        store.write(f"{number}", b"")
    assert store.read("there") == OLD
    assert proxy.counts[Fault.ERROR] == 65


def test_the_default_patience() -> None:
    for _ in range(20):
        waits = list(RetryPolicy(now=lambda: 0.0).waits(0.0))
        full = [min(30.0, 0.2 * 2**number) for number in range(11)]
        assert len(waits) == 11
        assert all(whole / 2 <= wait <= whole for wait, whole in zip(waits, full, strict=True))
    assert len(set(waits)) == 11
    assert 60 < sum(waits) < 150


def test_long_waits_are_told(store: S3Store, proxy: FaultyS3, caplog: pytest.LogCaptureFixture) -> None:
    slept: list[float] = []
    proxy.script(Fault.SLOW_DOWN, Fault.SLOW_DOWN)
    retry_policy = replace(
        FAST, attempts=3, first_wait_s=0.9, longest_wait_s=9, now=lambda: 0.0, sleep=slept.append
    )
    assert replace(store, retry_policy=retry_policy).read("there") == OLD
    assert len(slept) == 2
    told = [record.getMessage() for record in caplog.records if record.name == client.__name__]
    assert len(told) == sum(wait >= 1 for wait in slept)
    for line in told:
        assert f"{store.url}/there: Please reduce your request rate after 0 s; attempt 3 of 3 follows in" in line
        assert line.endswith("none later than in 300 s")


def test_a_conflict_is_looked_into(store: S3Store, direct: S3Store, proxy: FaultyS3) -> None:
    proxy.script(Fault.CONFLICT)
    assert store.create("new", NEW)
    proxy.script(Fault.CONFLICT)
    assert not store.create("new", OLD)
    assert direct.read("new") == NEW
    assert [seen.method for seen in proxy.seen] == ["PUT", "GET", "PUT", "PUT", "GET"]


def test_a_put_that_takes_effect_late_is_still_ours(store: S3Store, direct: S3Store, s3_endpoint: str) -> None:
    def until_it_has(_seconds: float) -> None:
        while not list(direct.list("new")):
            time.sleep(0.01)

    with FaultyS3(s3_endpoint, delay_s=0.2) as proxy:
        slow = replace(store, endpoint_url=proxy.url, retry_policy=replace(FAST, sleep=until_it_has))
        proxy.script(Fault.LOST_LATE, method="PUT")
        assert slow.create("new", NEW)
        # Nothing was there at the first look; the second PUT met the first one.
        assert [seen.method for seen in proxy.seen] == ["PUT", "GET", "PUT", "GET"]
    assert direct.read("new") == NEW


@pytest.mark.parametrize("look", [Fault.ERROR, Fault.RESET, Fault.TRUNCATE])
def test_a_lost_answer_and_then_a_failing_look(store: S3Store, proxy: FaultyS3, look: Fault) -> None:
    proxy.script(Fault.LOST, method="PUT")
    proxy.script(look, method="GET")
    assert store.create("new", NEW)
    assert [seen.method for seen in proxy.seen] == ["PUT", "GET", "PUT", "GET"]


def test_a_lost_answer_to_the_loser(store: S3Store, proxy: FaultyS3) -> None:
    proxy.script(Fault.LOST, Fault.LOST, Fault.LOST)
    assert not store.create("there", NEW)


def test_what_is_there_is_found_even_after_the_last_attempt(store: S3Store, proxy: FaultyS3) -> None:
    once = replace(store, retry_policy=replace(FAST, attempts=1))
    proxy.script(Fault.LOST)
    assert once.create("new", NEW)


def test_missing_bucket(s3_endpoint: str) -> None:
    store = S3Store(bucket="nowhere", prefix="p", endpoint_url=s3_endpoint)
    assert not store.exists()
    acts: list[Callable[[], Any]] = [
        lambda: list(store.list()),
        lambda: store.read("a"),
        lambda: store.write("a", b""),
        lambda: store.create("a", b""),
    ]
    for act in acts:
        with pytest.raises(StoreError, match="bucket does not exist: create the bucket or correct its name"):
            act()


def test_folder_markers_and_neighbours_are_left_out(direct: S3Store) -> None:
    for key in ("p/", "p/folder/", "pq/other", "p"):
        direct.client.put_object(Bucket=direct.bucket, Key=key, Body=b"")
    direct.write("folder/a", b"x")
    assert [info.key for info in direct.list()] == ["folder/a", "there"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (NoCredentialsError(), "Unable to locate credentials: correct the credentials and run"),
        (
            SSLError(endpoint_url="https://x", error=Exception("CERTIFICATE_VERIFY_FAILED")),
            "CERTIFICATE_VERIFY_FAILED$",
        ),
    ],
)
def test_failures_without_an_answer_that_do_not_pass(
    store: S3Store, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    calls = 0

    def fail(**_request: Any) -> Any:
        nonlocal calls
        calls += 1
        raise error

    monkeypatch.setattr(store.client, "list_objects_v2", fail)
    with pytest.raises(StoreError, match=rf"^{store.url}: .*{message}"):
        store.exists()
    assert calls == 1


def test_nobody_listens() -> None:
    store = S3Store(bucket="bucket", prefix="p", endpoint_url="http://127.0.0.1:1", retry_policy=FAST)
    for act in (store.exists, lambda: store.create("a", b"")):
        with pytest.raises(
            StoreError, match=r": no connection to http://127.0.0.1:1: Connection refused; gave up after 6"
        ):
            act()


def test_more_than_one_request_can_carry_is_refused_before_sending(store: S3Store, proxy: FaultyS3) -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return (5 << 30) + 1

    for act in (store.write, store.create):
        with pytest.raises(StoreError, match="5368709121 bytes are more than S3 takes in one request"):
            act("huge", Huge())
    assert not proxy.seen


def test_servers_that_know_no_conditions_or_ranges(
    direct: S3Store, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultyS3(s3_endpoint, honours_conditions=False) as proxy:
        store = replace(direct, endpoint_url=proxy.url, retry_policy=FAST)
        info = store.stat("there")
        store.write("there", OLD[:-1])
        with pytest.raises(FileNotFoundError, match="changed since it was listed"):
            store.open(info).read()
        monkeypatch.setattr(store_module, "read_body", lambda _answer, _patience: b"short")
        with pytest.raises(StoreError, match="5 bytes came where 10 were asked for"):
            store.fetch_range("there", store.stat("there").etag, 0, 10)


def test_another_patience_is_the_same_place(direct: S3Store) -> None:
    assert replace(direct, retry_policy=FAST) == direct
    assert hash(replace(direct, retry_policy=FAST)) == hash(direct)


def test_without_credentials_requests_are_not_signed(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # Another time-out, so that no client of other tests is found.
    client = s3_client(s3_endpoint, RetryPolicy(connect_s=9.5))
    sent: list[str] = []
    client.meta.events.register("before-send.s3", lambda request, **_: sent.extend(request.headers))
    client.list_buckets()
    assert sent
    assert "Authorization" not in sent
