"""Output images in tar files."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from io import BytesIO

import pytest

from arm_batch.runstate.commit import committed, create_commit, read_commit
from arm_batch.runstate.image_reader import Images
from arm_batch.runstate.rows import StoredImage
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.runstate.shard_writer import write_shard
from arm_batch.runstate.tars import pack, split_path, unpack
from arm_batch.storage.base import ObjectStore
from tests.runstate.test_shard_writer import ROWS, keys, rows

SHARD = ShardId(0, 3)
TAR = "tars/part-g0000-000003-x.tar"


def test_a_tar_holds_each_image_with_its_row(store: ObjectStore) -> None:
    commit = write_shard(store, SHARD, ROWS, "webdataset", "x")
    assert commit.tar is not None
    assert (commit.tar.key, commit.tar.rows) == (TAR, 2)
    assert committed(store) == {SHARD: commit}
    first, last = ROWS[0], ROWS[2]
    members = unpack(store.read(TAR))
    # Samples are told by what is before the first dot, and keep together.
    assert list(members) == [f"{row.id}{end}" for row in (first, last) for end in (".png", ".json")]
    assert members[f"{last.id}.png"] == b"two"
    described = json.loads(members[f"{last.id}.json"])
    assert described["path"] == described["output"] == "b 2.png"
    assert described["sha256"] == last.sha256
    read, reader = rows(store, commit), Images(store)
    assert read[0] == replace(first, image=StoredImage(None, f"{TAR}/{first.id}.png"))
    assert [reader.read(row.image) for row in read if row.image is not None] == [b"one", b"two"]


def test_a_shard_of_failures_has_no_tar(store: ObjectStore) -> None:
    assert write_shard(store, SHARD, ROWS[1:2], "webdataset", "x").tar is None
    assert keys(store, "tars/") == []


def test_the_loser_takes_its_tar_away(store: ObjectStore) -> None:
    def other_wins(self: ObjectStore, key: str, data: bytes) -> bool:
        del self
        create(key, data)
        ours = read_commit(store, SHARD)
        assert ours is not None
        store.delete(key)
        object.__setattr__(store, "create", create)
        create_commit(store, replace(ours, attempt="winner"))
        return False

    create = store.create
    object.__setattr__(store, "create", other_wins.__get__(store))
    winner = write_shard(store, SHARD, ROWS, "webdataset", "x")
    assert winner.attempt == "winner"
    assert keys(store, "tars/") == keys(store, "data/") == []


def test_the_same_rows_make_the_same_tar() -> None:
    assert pack(TAR, ROWS) == pack(TAR, ROWS)


def test_other_readers_can_open_it() -> None:
    with tarfile.open(fileobj=BytesIO(pack(TAR, ROWS)[0])) as tar:
        assert all(member.isreg() and member.mtime == 0 for member in tar)


@pytest.mark.parametrize("path", ["images/a.tar/b.png", "tars/a.tar", "tars/a/b.png", "a.png", "tars/x.tar.png"])
def test_other_places_are_not_in_a_tar(path: str) -> None:
    assert split_path(path) is None


def test_what_is_missing_in_a_tar_is_told(store: ObjectStore) -> None:
    reader = Images(store)
    with pytest.raises(FileNotFoundError):
        reader.read(StoredImage(None, f"{TAR}/a.png"))
    store.write(TAR, pack(TAR, ROWS)[0])
    with pytest.raises(FileNotFoundError, match=r"000003-x\.tar/a\.png does not exist"):
        reader.read(StoredImage(None, f"{TAR}/a.png"))
    store.write("tars/b.tar", b"not a tar file, whatever it is called")
    with pytest.raises(FileNotFoundError, match="not a tar file"):
        reader.read(StoredImage(None, "tars/b.tar/a.png"))
