"""What a run set out to do, read back."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arm_batch import pipeline
from arm_batch.errors import StoreError
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.listing import read_shards
from arm_batch.runstate.plan_files import read_plan
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.storage.open import open_store
from tests.archives import job, make_archive, silent


def rename_original(path: Path) -> None:
    """Let the first input of a table be a copy of one that is nowhere."""
    table = pq.read_table(path)
    copies = ["None", *table["copy_of"].to_pylist()[1:]]
    place = table.schema.get_field_index("copy_of")
    table = table.set_column(place, table.schema.field(place), pa.array(copies, pa.string()))
    pq.write_table(table, path)


def test_a_copy_of_nothing_is_damage(tmp_path: Path) -> None:
    pipeline.upscale(job(make_archive(tmp_path / "in"), tmp_path / "out"), silent)
    store = open_store(str(tmp_path / "out"))
    (generation,) = list_generations(store)
    told = "is called a copy of 'None', which is not before it"
    rename_original(tmp_path / "out" / "plan" / "g0000" / "shards" / "000000.parquet")
    with pytest.raises(StoreError, match=told):
        read_plan(store, ShardId(0, 0))
    rename_original(tmp_path / "out" / generation.listing)
    with pytest.raises(StoreError, match=told):
        list(read_shards(store, generation))
