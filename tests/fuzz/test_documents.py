"""A short fuzzing of documents; ``make fuzz`` is the long one. And that it would find something."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arm_batch.api import outputs
from tests.fuzz import documents
from tests.fuzz.changes import change
from tests.fuzz.documents import fuzz

CHANGES = 120


def test_changed_documents_end_in_words_and_in_no_false_row(tmp_path: Path) -> None:
    fuzzed = fuzz(tmp_path, seed=0, count=CHANGES)
    assert fuzzed.findings == []
    assert fuzzed.done == CHANGES
    # All ways to end were gone, so that the changes mattered.
    assert set(fuzzed.codes) == documents.CODES


def test_a_traceback_and_a_false_row_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(outputs, "read_progress", broken)
    monkeypatch.setattr(documents, "read_rows", lambda store: {"a.png": (store.url, len(list(store.list())))})
    fuzzed = fuzz(tmp_path, seed=0, count=20)
    assert any("a defect" in finding for finding in fuzzed.findings)
    monkeypatch.undo()
    seen = iter(range(10**6))
    monkeypatch.setattr(documents, "read_rows", lambda _: {"a.png": (next(seen),)})
    fuzzed = fuzz(tmp_path / "again", seed=0, count=20)
    assert any("the row of a.png is another" in finding for finding in fuzzed.findings)


@pytest.mark.parametrize("key", ["a.json", "a.parquet", "a.npz", "a.png"])
def test_changes_follow_from_the_seed_and_change_something(key: str, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.arange(5), b=np.ones((2, 3), np.int64))
    pq.write_table(pa.table({"x": [1, 2, 3], "y": ["a", "b", None]}), tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text('{"a": [1, {"b": 2.5}], "c": null, "d": "text"}')
    (tmp_path / "a.png").write_bytes(bytes(range(200)))
    sound = (tmp_path / key).read_bytes()
    changed = [change(key, sound, random.Random(number)) for number in range(100)]
    assert changed == [change(key, sound, random.Random(number)) for number in range(100)]
    assert len(set(changed) - {sound}) > 20
