"""Arrays beside records: read back, or refused in one line, whatever the bytes are."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arm_batch.storage.tables as tables_module
from arm_batch.errors import NewerError, StoreError
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.local import LocalStore
from arm_batch.storage.tables import Tables, read_tables, write_tables

KEY = "plan/tables.npz"
ARRAYS = {
    "counts": np.arange(12, dtype=np.int64).reshape(3, 4),
    "turned": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
    "number": np.array(5),
    "none": np.zeros(0, np.int64),
    "text": np.frombuffer(b"bytes", np.uint8),
}


@pytest.fixture
def local(tmp_path: Path) -> ObjectStore:
    return LocalStore(str(tmp_path))


def read(store: ObjectStore) -> Tables:
    return read_tables(store, KEY, "do this")


def refused(store: ObjectStore, data: bytes) -> str:
    store.write(KEY, data)
    with pytest.raises(StoreError) as caught:
        read(store).counts("counts", 2)
    message = str(caught.value)
    assert KEY in message
    assert message.endswith("; do this")
    assert "\n" not in message
    return message


def packed(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{**ARRAYS, **arrays})
    return buffer.getvalue()


def test_arrays_come_back(local: ObjectStore) -> None:
    write_tables(local, KEY, ARRAYS)
    found = read(local)
    for name in ("counts", "turned", "number", "none"):
        back = found.counts(name, ARRAYS[name].ndim)
        assert back.dtype == np.int64
        np.testing.assert_array_equal(back, ARRAYS[name])
        back += 1
    assert found.text("text") == b"bytes"


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.ones((3, 4)), "whole numbers"),
        (np.full((3, 4), np.nan), "whole numbers"),
        (np.ones(12, np.int64), "in 2 dimensions"),
        (np.full((3, 4), -1), "from 0 up"),
        (np.full((3, 4), 2**62), "from 0 up"),
        (np.array([["a"]]), "whole numbers"),
        (np.array([[None]], object), "Python objects"),
    ],
)
def test_arrays_of_another_kind_are_refused(local: ObjectStore, array: np.ndarray, told: str) -> None:
    assert told in refused(local, packed(counts=array))


def test_a_missing_file_and_a_missing_array_are_named(local: ObjectStore) -> None:
    with pytest.raises(StoreError, match=r"tables\.npz is missing; do this"):
        read(local)
    write_tables(local, KEY, {"other": np.zeros(1, np.int64)})
    with pytest.raises(StoreError, match="expected `counts`"):
        read(local).counts("counts")


def test_broken_bytes_are_refused_or_change_nothing(local: ObjectStore) -> None:
    whole, rng = packed(), random.Random(0)
    broken = [b"", b"PK", b"\x93NUMPY", whole[: len(whole) // 2], whole[:-1], whole[30:], whole + whole[:50]]
    for _ in range(600):
        place = rng.randrange(len(whole))
        broken.append(whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :])
    refusals = 0
    for data in broken:
        local.write(KEY, data)
        try:
            np.testing.assert_array_equal(read(local).counts("counts", 2), ARRAYS["counts"])
        except StoreError:
            refusals += 1
    assert refusals > 300


def member(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("counts.npy", content)
    return buffer.getvalue()


def header(shape: str) -> bytes:
    told = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(told).to_bytes(2, "little") + told.encode()


def test_a_file_cannot_take_more_memory_than_it_has_bytes(local: ObjectStore) -> None:
    # A header that claims 8 TB, and zeros that unpack to a thousand times their size.
    assert "damaged" in refused(local, member(header("(1000000, 1000000)") + b"12345678"))
    assert "unpack to far more" in refused(local, member(header("(20000000,)") + bytes(160_000_000)))


def test_pickles_are_never_opened(local: ObjectStore) -> None:
    told = header("(1,)").replace(b"'<i8'", b"'|O'  ")
    assert "Python objects" in refused(local, member(told + b"cos\nsystem\n(S'false'\ntR."))


def written(store: ObjectStore) -> dict[str, np.ndarray]:
    write_tables(store, KEY, ARRAYS)
    return dict(np.load(io.BytesIO(store.read(KEY))))


def saved(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_arrays_of_before_there_were_formats_are_read(local: ObjectStore) -> None:
    local.write(KEY, packed())
    assert read(local).counts("number", 0) == 5


@pytest.mark.parametrize("name", [*ARRAYS, "format", "checksum"])
def test_another_value_is_noticed(local: ObjectStore, name: str) -> None:
    arrays = written(local)
    for other in (arrays[name].reshape(-1)[:-1], arrays[name] + arrays[name].dtype.type(1), None):
        changed = {key: array for key, array in arrays.items() if key != name}
        data = saved(changed if other is None else changed | {name: other})
        if other is None or not np.array_equal(other, arrays[name]):
            assert "is damaged" in refused(local, data)


def test_arrays_of_a_later_format_are_no_damage(local: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr(tables_module, "_FORMAT", 2)
        write_tables(local, KEY, ARRAYS)
    with pytest.raises(NewerError, match=r"tables\.npz was written by a newer arm-batch, in format 2"):
        read(local)
