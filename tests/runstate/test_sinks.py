"""The registry of sinks, and that another takes no more than what is below."""

from pathlib import PurePosixPath
from typing import cast, get_args

import pytest

from arm_batch.runstate.image_reader import Images
from arm_batch.runstate.rows import ImageRecord, StoredImage
from arm_batch.runstate.shard_writer import write_shard
from arm_batch.runstate.sinks import SINKS, SinkKind
from arm_batch.spec import Sink
from arm_batch.storage.base import ObjectStore
from tests.runstate.test_shard_writer import ROWS, keys, rows, shard


def image_of(row: ImageRecord) -> StoredImage:
    assert row.image is not None
    return row.image


def test_what_the_command_line_offers_is_what_there_is() -> None:
    assert set(get_args(Sink)) == SINKS.keys()


def by_content(record: ImageRecord) -> str:
    """Images are called after what is in them, so that equal ones are stored once."""
    assert record.image is not None
    return f"{record.sha256}{PurePosixPath(record.image.path).suffix}"


def test_a_sink_is_added_by_one_function_and_one_line(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    name = cast(Sink, "content")
    monkeypatch.setitem(SINKS, name, SinkKind(place=by_content))
    commit = write_shard(store, shard(0), ROWS, name, "x")
    done = [row for row in rows(store, commit) if row.status == "ok"]
    assert [image_of(row).path for row in done] == [
        f"images/{by_content(row)}" for row in ROWS if row.status == "ok"
    ]
    assert set(keys(store, "images/")) == {image_of(row).path for row in done}
    expected = [image_of(row).bytes for row in ROWS if row.status == "ok"]
    assert [Images(store).read(image_of(row)) for row in done] == expected
