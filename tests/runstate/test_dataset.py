from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
import pytest

from arm_batch.errors import OutputError
from arm_batch.images import Picture, encode
from arm_batch.runstate.dataset import open_dataset
from arm_batch.runstate.rows import SCHEMA
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.runstate.shard_writer import write_shard
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.local import LocalStore
from tests.runstate.test_rows import FAILED
from tests.runstate.test_shard_writer import record


def test_only_what_is_committed_is_read(store: ObjectStore) -> None:
    endpoint = getattr(store, "endpoint_url", None)
    with pytest.raises(OutputError, match="holds no output"):
        open_dataset(store.url, endpoint_url=endpoint)
    for shard in range(3):
        write_shard(store, ShardId(0, shard), [record(f"{shard}.png", b"%d" % shard)], "parquet", "x")
    store.write("data/part-g0000-000001-orphan.parquet", store.read("data/part-g0000-000001-x.parquet"))
    store.write("data/part-g0000-000002-broken.parquet", b"half")
    dataset = open_dataset(store.url, endpoint_url=endpoint)
    assert dataset.schema.equals(SCHEMA)
    table = dataset.to_table(columns=["path", "image"])
    assert table["path"].to_pylist() == ["0.png", "1.png", "2.png"]
    assert [image["bytes"] for image in table["image"].to_pylist()] == [b"0", b"1", b"2"]
    assert dataset.count_rows() == 3


def test_hugging_face_datasets_sees_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 3)).astype(np.uint8)
    store = LocalStore(str(tmp_path / "run"))
    write_shard(
        store, ShardId(0, 0), [record("a.png", encode(Picture.plain(pixels), "png")), FAILED], "parquet", "x"
    )
    loaded = datasets.load_dataset(
        "parquet", data_dir=str(tmp_path / "run/data"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded.features["image"] == datasets.Image()
    assert loaded.features["flops"] == datasets.Value("int64")
    assert loaded.features["subnet_tiles"] == datasets.List(datasets.Value("int32"))
    assert set(loaded.features) == set(SCHEMA.names)
    rows = {row["status"]: row for row in loaded}
    np.testing.assert_array_equal(np.asarray(rows["ok"]["image"]), pixels)
    assert rows["failed"]["image"] is None
