from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.errors import ImageError
from arm_batch.inputs.dedup import put_duplicates_behind
from arm_batch.inputs.listing import list_store
from arm_batch.inputs.sources import Entry, Source
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.local import LocalStore
from arm_batch.storage.s3.store import S3Store

LARGE = 10**9


@dataclass(frozen=True)
class Held(Source):
    """Images held in memory; those that begin with ``!`` cannot be read."""

    def read(self, entry: Entry) -> bytes:
        if entry.key.startswith("!"):
            raise ImageError("broken")
        return entry.key.encode()


def held(*contents: str, sizes: bool = True) -> list[Entry]:
    return [
        Entry(path=f"{number:02d}", key=text, row=None, size=len(text) if sizes else -1, etag="")
        for number, text in enumerate(contents)
    ]


def marks(entries: list[Entry], images: int = 32, size: int = LARGE) -> list[tuple[str, str | None]]:
    found = put_duplicates_behind(Held(LocalStore("/")), entries, images, size)
    return [(entry.path, entry.copy_of) for entry in found]


@pytest.mark.parametrize("sizes", [True, False])
def test_copies_go_behind_the_first(sizes: bool) -> None:
    entries = held("a", "b", "a", "cc", "b", "a", "!", "!", sizes=sizes)
    assert marks(entries) == [
        *(("00", None), ("02", "00"), ("05", "00")),
        *(("01", None), ("04", "01")),
        *(("03", None), ("06", None), ("07", None)),
    ]


def test_large_groups_begin_anew() -> None:
    assert [copy for _, copy in marks(held(*"aaaaa"), images=2)] == [None, "00", None, "02", None]
    assert [copy for _, copy in marks(held(*["aaaa"] * 4), size=12)] == [None, "00", "00", None]
    assert [copy for _, copy in marks(held(*["aaaa"] * 4), size=1)] == [None, "00", None, "02"]
    assert [copy for _, copy in marks(held(*"aaa"), images=1)] == [None] * 3


@given(
    st.lists(st.sampled_from(["a", "b", "cc", "dd", "!", "!!"]), max_size=12), st.integers(1, 4), st.integers(0, 9)
)
def test_every_entry_once_and_each_copy_right_behind_its_own(contents: list[str], images: int, size: int) -> None:
    entries = held(*contents)
    by_path = {entry.path: entry for entry in entries}
    found = put_duplicates_behind(Held(LocalStore("/")), entries, images, size)
    assert Counter(entry.path for entry in found) == Counter(by_path.keys())
    first = None
    for entry in found:
        if entry.copy_of is None:
            first = entry
        else:
            assert first is not None
            assert entry.copy_of == first.path
            assert by_path[entry.path].key == first.key
    originals = [entry for entry in found if entry.copy_of is None]
    if images == 4 and size == 9:
        for text, count in Counter(contents).items():
            most = 1 if text.startswith("!") else min(4, max(2, 9 // len(text)))
            assert sum(e.key == text for e in originals) == -(-count // most)


def test_only_what_may_be_the_same_is_read(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, data in {"a.png": b"same", "b.png": b"same", "c.png": b"else", "d.png": b"longer"}.items():
        store.write(name, data)
    read: list[str] = []
    real = Source.read

    def noted(source: Source, entry: Entry) -> bytes:
        read.append(entry.path)
        return real(source, entry)

    monkeypatch.setattr(Source, "read", noted)
    found = put_duplicates_behind(Source(store), list_store(store).entries, 32, LARGE)
    assert [(entry.path, entry.copy_of) for entry in found] == [
        ("a.png", None),
        ("b.png", "a.png"),
        ("c.png", None),
        ("d.png", None),
    ]
    # S3 has said the hashes already.
    assert sorted(read) == ([] if isinstance(store, S3Store) else ["a.png", "b.png", "c.png"])


def test_a_hash_from_s3_is_that_of_the_bytes(tmp_path: Path) -> None:
    """An object written in one request and one in several parts may be the same image."""
    (tmp_path / "b.png").write_bytes(b"same")
    info = LocalStore(str(tmp_path)).stat("b.png")
    entries = [
        Entry(path="a.png", key="a.png", row=None, size=4, etag=hashlib.md5(b"same").hexdigest()),
        Entry(path="b.png", key="b.png", row=None, size=4, etag=info.etag),
    ]
    found = put_duplicates_behind(Source(LocalStore(str(tmp_path))), entries, 32, LARGE)
    assert [entry.copy_of for entry in found] == [None, "a.png"]
