from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError

from arm_batch.errors import StoreError
from arm_batch.store import s3
from arm_batch.store.s3 import S3Store, s3_client


@pytest.fixture
def store(s3_bucket: str, s3_endpoint: str) -> S3Store:
    return S3Store(s3_bucket, "p", s3_endpoint)


class Scripted:
    """The real client, with what `put_object` does first before (or after) it works."""

    def __init__(self, client: Any, puts: list[Callable[[Callable[[], Any]], Any]]) -> None:
        self._client, self._puts, self.calls = client, puts, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_object(self, **request: Any) -> Any:
        self.calls += 1
        if self._puts:
            return self._puts.pop(0)(lambda: self._client.put_object(**request))
        return self._client.put_object(**request)


def script(monkeypatch: pytest.MonkeyPatch, store: S3Store, *puts: Callable[[Callable[[], Any]], Any]) -> Scripted:
    scripted = Scripted(s3_client(store.endpoint_url), list(puts))
    monkeypatch.setattr(s3, "s3_client", lambda _endpoint_url: scripted)
    monkeypatch.setattr(s3, "_FIRST_WAIT_S", 0.001)
    return scripted


def conflict(_put: Callable[[], Any]) -> Any:
    answer = {"Error": {"Code": "ConditionalRequestConflict", "Message": "conflict"}}
    raise ClientError(answer | {"ResponseMetadata": {"HTTPStatusCode": 409}}, "PutObject")  # type: ignore[arg-type]


def timeout(_put: Callable[[], Any]) -> Any:
    raise ReadTimeoutError(endpoint_url="http://x")


def lost_answer(put: Callable[[], Any]) -> Any:
    put()
    return timeout(put)


def test_a_lost_answer_is_still_ours(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = script(monkeypatch, store, lost_answer)
    assert store.create("a", b"attempt 1")
    assert scripted.calls == 1


def test_a_refusal_of_our_own_object_is_ours(store: S3Store) -> None:
    assert store.create("a", b"attempt 1")
    assert store.create("a", b"attempt 1")
    assert not store.create("a", b"attempt 2")


def test_conflicts_and_timeouts_are_tried_again(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = script(monkeypatch, store, conflict, timeout)
    assert store.create("a", b"x")
    assert scripted.calls == 3


def test_it_gives_up(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = script(monkeypatch, store, *[conflict] * 20)
    with pytest.raises(StoreError, match="conflict"):
        store.create("a", b"x")
    assert scripted.calls == 6


def test_missing_bucket(s3_endpoint: str) -> None:
    store = S3Store("nowhere", "p", s3_endpoint)
    assert not store.exists()
    for act in (lambda: list(store.list()), lambda: store.read("a"), lambda: store.write("a", b"")):
        with pytest.raises(StoreError, match="bucket does not exist"):
            act()


def test_folder_markers_and_neighbours_are_left_out(store: S3Store, s3_bucket: str, s3_endpoint: str) -> None:
    client = s3_client(s3_endpoint)
    for key in ("p/", "p/folder/", "pq/other", "p"):
        client.put_object(Bucket=s3_bucket, Key=key, Body=b"")
    store.write("folder/a", b"x")
    assert [info.key for info in store.list()] == ["folder/a"]


def test_missing_credentials_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    store = S3Store("bucket", "p", "http://127.0.0.1:1")

    def no_credentials(**_request: Any) -> Any:
        raise NoCredentialsError

    client = s3_client(store.endpoint_url)
    monkeypatch.setattr(client, "list_objects_v2", no_credentials)
    with pytest.raises(StoreError, match=r"s3://bucket/p: Unable to locate credentials"):
        store.exists()
