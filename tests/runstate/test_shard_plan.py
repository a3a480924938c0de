from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.errors import StoreError
from arm_batch.inputs.sources import Entry
from arm_batch.runstate.generation import Generation, create_generation, discard_generation, list_generations
from arm_batch.runstate.listing import read_names, read_shards
from arm_batch.runstate.plan_files import plan_key, planned, read_plan, write_plan
from arm_batch.runstate.shard_plan import ImagePlan, Shard, ShardId, ShardPlan
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.local import LocalStore
from tests.sealed import changed

SETTINGS = {"budget": "50%"}
FILE = Entry(path="a/ü.png", key="a/ü.png", row=None, size=12, etag="1f-c")
ROW = Entry(path="b.png", key="train.parquet", row=7, size=-1, etag="2a")


def image(entry: Entry, scores: list[float], error: str | None = None) -> ImagePlan:
    found = (None, ()) if error else ("png", ("frame 0 of 2", "ä"))
    return ImagePlan(
        entry, f"{entry.path}.out", 12, 3, 4, np.array(scores, np.float32).reshape(-1, 1), error, *found
    )


def shard(generation: int, index: int, *entries: Entry, origin: ShardId | None = None) -> Shard:
    return Shard(ShardId(generation, index), entries, tuple(f"{e.path}.out" for e in entries), origin)


def same(one: ShardPlan, other: ShardPlan) -> bool:
    """Equality that arrays of scores take part in."""
    return repr(one) == repr(other) and one.scores().tolist() == other.scores().tolist()


@given(st.integers(0, 10**5), st.integers(0, 10**8))
def test_shard_ids_are_read_as_they_are_written(generation: int, index: int) -> None:
    assert ShardId.parse(str(ShardId(generation, index))) == ShardId(generation, index)


@pytest.mark.parametrize("text", ["", "g0/1", "g0000/000001.json", "0000/000001", "g0000-000001"])
def test_other_things_are_not_shard_ids(text: str) -> None:
    with pytest.raises(ValueError):
        ShardId.parse(text)


def test_plans_come_back_as_they_went_in(store: ObjectStore) -> None:
    plan = ShardPlan(
        ShardId(0, 5), (image(FILE, [1.5, 0.1]), image(ROW, [], "no image in this row"), image(FILE, [7.0]))
    )
    failures = ShardPlan(ShardId(1, 0), (image(ROW, [], "x"),), origin=ShardId(0, 5))
    for each in (plan, failures):
        assert write_plan(store, each) is each
        assert same(read_plan(store, each.id), each)
    assert planned(store, 0) == {5}
    assert planned(store, 1) == {0}
    assert planned(store, 2) == set()


def test_the_first_plan_counts(store: ObjectStore) -> None:
    first = ShardPlan(ShardId(0, 0), (image(FILE, [1.0]),))
    write_plan(store, first)
    assert same(write_plan(store, ShardPlan(ShardId(0, 0), (image(FILE, [2.0]),))), first)


def test_no_bit_of_a_plan_flips_unseen(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    plan = ShardPlan(ShardId(0, 0), (image(FILE, [1.5, 0.1, 3.25]), image(ROW, [], "broken")))
    write_plan(store, plan)
    whole = store.read(plan_key(plan.id))
    seen = 0
    for position in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        store.write(plan_key(plan.id), bytes(damaged))
        try:
            assert same(read_plan(store, plan.id), plan)
        except StoreError:
            seen += 1
    assert seen > len(whole) // 9


def test_a_missing_plan_is_a_store_error(store: ObjectStore) -> None:
    with pytest.raises(StoreError, match=r"shards/000009\.parquet is missing; .*--repair"):
        read_plan(store, ShardId(0, 9))


def test_generations_fix_what_is_to_be_done(store: ObjectStore) -> None:
    assert list_generations(store) == []
    shards = [shard(0, 0, FILE, ROW), shard(0, 1, FILE)]
    first = create_generation(store, "initial", 0, "run", {"budget": "40%"}, shards, "try")
    retried = [shard(1, 0, ROW, origin=ShardId(0, 0))]
    second = create_generation(store, "retry", 1, "run", {"budget": "40%"}, retried, "try", cap_flops=7)
    assert list_generations(store) == [first, second]
    assert (first.images, first.shards, second.cap_flops) == (3, 2, 7)
    assert list(read_shards(store, first)) == shards
    assert list(read_shards(store, second)) == retried
    assert read_names(store, [first, second]) == ({"a/ü.png", "b.png"}, {"a/ü.png.out", "b.png.out"})


def test_of_two_that_begin_a_run_both_do_the_same(store: ObjectStore) -> None:
    first = create_generation(store, "initial", 0, "run", SETTINGS, [shard(0, 0, FILE)], "one")
    second = create_generation(store, "initial", 0, "run", SETTINGS, [shard(0, 0, FILE), shard(0, 1, ROW)], "two")
    assert second == first
    assert [info.key for info in store.list() if "two" in info.key] == []


def test_a_discarded_generation_leaves_nothing(store: ObjectStore) -> None:
    first = create_generation(store, "initial", 0, "run", SETTINGS, [shard(0, 0, FILE)], "one")
    write_plan(store, ShardPlan(ShardId(0, 0), (image(FILE, [1.0]),)))
    discard_generation(store, first)
    assert list(store.list()) == []


def test_a_damaged_or_missing_listing_is_named(store: ObjectStore) -> None:
    generation = create_generation(store, "initial", 0, "run", SETTINGS, [shard(0, 0, FILE)], "one")
    for content in (store.read(generation.listing)[:-10], b""):
        store.write(generation.listing, content)
        with pytest.raises(StoreError, match="listing-one"):
            list(read_shards(store, generation))
    store.delete(generation.listing)
    with pytest.raises(StoreError, match="listing-one"):
        list(read_shards(store, generation))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"settings": None}, "at `$.settings`: expected `object`, got `null`"),
        ({"settings": {}}, "at `$.settings`: the budget is missing"),
        ({"settings": {"budget": "much"}}, "at `$.settings.budget`: unknown unit 'much'"),
        ({"images": "1"}, "at `$.images`: expected `int`, got `str`"),
        ({"shards": 5}, "5 shards cannot be made of 1 images"),
        ({"kind": "extend"}, "at `$.kind`: generation 0 cannot be extend"),
        ({"kind": "other"}, "at `$.kind`: invalid enum value 'other'"),
        ({"listing": "plan/g0000/../../x"}, "at `$.listing`: expected"),
        ({"cap_flops": -1}, "at `$.cap_flops`: expected `int` >= 0"),
        ({"number": 1, "kind": "extend", "listing": "plan/g0001/x"}, "is the record of g0001"),
        ({"more": 1}, "unknown field `more`"),
    ],
)
def test_a_damaged_record_of_a_generation_is_named(
    store: ObjectStore, changes: dict[str, object], told: str
) -> None:
    create_generation(store, "initial", 0, "run", SETTINGS, [shard(0, 0, FILE)], "one")
    key = "plan/g0000/generation.json"
    store.write(key, changed(store.read(key), **changes))
    with pytest.raises(StoreError) as caught:
        list_generations(store)
    assert f"{key} is" in str(caught.value)
    assert told in str(caught.value)
    assert "put the file back" in str(caught.value)


def test_a_listing_of_other_columns_is_named(store: ObjectStore) -> None:
    generation = create_generation(store, "initial", 0, "run", SETTINGS, [shard(0, 0, FILE)], "one")
    table = pq.read_table(pa.BufferReader(store.read(generation.listing)))
    for other in (table.drop_columns("origin"), table.set_column(0, "shard", table["shard"].cast("int64"))):
        buffer = io.BytesIO()
        pq.write_table(other, buffer)
        store.write(generation.listing, buffer.getvalue())
        for read in (lambda: list(read_shards(store, generation)), lambda: read_names(store, [generation])):
            with pytest.raises(StoreError, match=r"listing-one\.parquet is damaged: .*put the file back"):
                read()


def test_generation_names() -> None:
    assert Generation(12, "extend", "r", {}, "a", "l", 0, 0, None).name == "g0012"
