from __future__ import annotations

import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arm_batch.core.selection.selection import EVERYTHING
from arm_batch.errors import ImageError, InputError, StoreError
from arm_batch.inputs import sources
from arm_batch.inputs.listing import list_store, open_input
from arm_batch.inputs.sources import Entry, Source
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.local import LocalStore
from arm_batch.storage.open import open_store

ALL = EVERYTHING


def write_parquet(store: ObjectStore, key: str, columns: dict[str, Any], row_group_size: int = 2) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, row_group_size=row_group_size)
    store.write(key, sink.getvalue().to_pybytes())


def hugging_face(images: list[tuple[bytes | None, str | None] | None]) -> pa.Array:
    cells = [image and {"bytes": image[0], "path": image[1]} for image in images]
    return pa.array(cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


def entries_in(store: ObjectStore) -> list[Entry]:
    return list_store(store).entries


def contents(store: ObjectStore) -> dict[str, bytes]:
    return {entry.path: Source(store).read(entry) for entry in entries_in(store)}


def test_image_files(store: ObjectStore) -> None:
    images = ["z.JPG", "a/b/c.jpeg", "a/x.png", "a.webp", "b.TIF", "c.tiff", "d.bmp"]
    for key in [*images, "readme.txt", "a/table.parquet", ".hidden.png", "._z.JPG", "a/.cache/x.png", "png"]:
        store.write(key, key.encode())
    entries = entries_in(store)
    assert [entry.path for entry in entries] == sorted(images)
    for entry in entries:
        assert entry == Entry(
            path=entry.path, key=entry.path, row=None, size=len(entry.path), etag=store.stat(entry.path).etag
        )
    source = pickle.loads(pickle.dumps(Source(store)))
    assert [source.read(entry).decode() for entry in entries] == sorted(images)


@pytest.mark.parametrize("at_once", [0, 1 << 20])
def test_streams_give_what_reading_gives(
    store: ObjectStore, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_READ_AT_ONCE", at_once)
    member = io.BytesIO()
    with tarfile.open(fileobj=member, mode="w") as tar:
        for name in ("c.png", "d.png"):
            info = tarfile.TarInfo(name)
            info.size = 5
            tar.addfile(info, io.BytesIO(name.encode()))
    for prefix, data in {"files/a.png": b"01234", "tars/b.tar": member.getvalue()}.items():
        store.write(prefix, data)
    for folder in ("files", "tars"):
        inner = open_store(f"{store.url}/{folder}", getattr(store, "endpoint_url", None))
        for entry in entries_in(inner):
            with Source(inner).open(entry) as stream:
                assert stream.read() == Source(inner).read(entry)
                assert stream.seek(-2, io.SEEK_END) == 3
                assert stream.read(1) == Source(inner).read(entry)[3:4]
    (gone,) = entries_in(open_store(f"{store.url}/files", getattr(store, "endpoint_url", None)))
    store.write("files/a.png", b"other")
    with pytest.raises((ImageError, FileNotFoundError), match="changed since it was listed"):
        Source(open_store(f"{store.url}/files", getattr(store, "endpoint_url", None))).open(gone).read()


def test_what_changed_or_went_since_the_listing(store: ObjectStore) -> None:
    for key in ("a.png", "b.png"):
        store.write(key, b"first")
    first, second = entries_in(store)
    store.write("a.png", b"other")
    store.delete("b.png")
    with pytest.raises(ImageError, match="changed since it was listed"):
        Source(store).read(first)
    with pytest.raises(ImageError, match="gone or changed"):
        Source(store).read(second)


def test_no_input(store: ObjectStore) -> None:
    with pytest.raises(InputError, match="does not exist"):
        entries_in(store)
    store.write("a.txt", b"x")
    with pytest.raises(InputError, match="holds no image"):
        entries_in(store)


def test_one_file(store: ObjectStore) -> None:
    store.write("a b/x.png", b"x")
    store.write("a b/y.png", b"y")
    store.write("a b/z.xml", b"z")
    write_parquet(store, "p.parquet", {"image": [b"one", b"two"]})
    endpoint = getattr(store, "endpoint_url", None)
    found = open_input(f"{store.url}/a b/x.png", endpoint)
    opened, entries = found.store, found.listing(ALL).entries
    assert [(entry.path, Source(opened).read(entry)) for entry in entries] == [("x.png", b"x")]
    found = open_input(f"{store.url}/p.parquet", endpoint)
    opened, entries = found.store, found.listing(ALL).entries
    assert [Source(opened).read(entry) for entry in entries] == [b"one", b"two"]
    found = open_input(f"{store.url}/a b/", endpoint)
    opened, entries = found.store, found.listing(ALL).entries
    assert [entry.path for entry in entries] == ["x.png", "y.png"]
    for wrong in ("a b/missing.png", "a b/z.xml", "missing"):
        with pytest.raises(InputError):
            open_input(f"{store.url}/{wrong}", endpoint).listing(ALL)


def test_relative_and_odd_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.png").write_bytes(b"x")
    Path("folder.parquet").mkdir()
    Path("folder.parquet/y.png").write_bytes(b"y")
    assert [entry.path for entry in open_input("x.png").listing(ALL).entries] == ["x.png"]
    assert [entry.path for entry in open_input("./x.png").listing(ALL).entries] == ["x.png"]
    assert [entry.path for entry in open_input("folder.parquet").listing(ALL).entries] == ["y.png"]
    assert [entry.path for entry in open_input(f"file://{tmp_path}/x.png").listing(ALL).entries] == ["x.png"]


def test_hugging_face_parquet(store: ObjectStore) -> None:
    cells: list[tuple[bytes | None, str | None] | None] = [(b"%d" % n, f"photos/{n}.jpg") for n in range(5)]
    write_parquet(store, "data/train-0.parquet", {"image": hugging_face(cells), "label": list(range(5))})
    assert contents(store) == {f"photos/{n}.jpg": b"%d" % n for n in range(5)}
    assert all(entry.size == -1 and entry.key == "data/train-0.parquet" for entry in entries_in(store))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
@pytest.mark.parametrize("name", ["image", "bytes", "jpg"])
def test_binary_columns(tmp_path: Path, name: str, kind: pa.DataType) -> None:
    store = LocalStore(str(tmp_path))
    write_parquet(store, "d/p.parquet", {"n": [1, 2, 3], name: pa.array([b"a", b"b", b"c"], kind)})
    assert contents(store) == {f"d/p/{n:08d}": data for n, data in enumerate([b"a", b"b", b"c"])}


@pytest.mark.parametrize("column", ["path", "file_name"])
def test_names_that_are_safe_and_unique_are_kept(tmp_path: Path, column: str) -> None:
    store = LocalStore(str(tmp_path))
    names = ["a/1.png", "../evil.png", "/etc/passwd", "twice.png", "twice.png", None, "in both.png"]
    write_parquet(store, "p.parquet", {"image": [b"x"] * 7, column: names})
    write_parquet(store, "q.parquet", {"image": [b"y"], column: ["in both.png"]})
    assert sorted(contents(store)) == ["a/1.png", *(f"p/{n:08d}" for n in range(1, 7)), "q/00000000"]


def test_names_that_look_like_our_numbers(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    write_parquet(store, "p.parquet", {"image": [b"x", b"y"], "path": ["p/00000001", None]})
    assert contents(store) == {"p/00000000": b"x", "p/00000001": b"y"}


def test_rows_without_an_image(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    write_parquet(store, "p.parquet", {"image": hugging_face([(b"x", "a.png"), None, (None, "c.png")])})
    entries = {entry.row: entry for entry in entries_in(store)}
    assert Source(store).read(entries[0]) == b"x"
    for row in (1, 2):
        with pytest.raises(ImageError, match="no image in this row"):
            Source(store).read(entries[row])


def test_a_parquet_file_that_changed(store: ObjectStore) -> None:
    write_parquet(store, "p.parquet", {"image": [b"x", b"y", b"z"]})
    entries = entries_in(store)
    write_parquet(store, "p.parquet", {"image": [b"x", b"y", b"zz"]})
    with pytest.raises(ImageError, match="changed since it was listed"):
        Source(store).read(entries[0])
    store.delete("p.parquet")
    with pytest.raises(ImageError, match="gone"):
        Source(store).read(entries[0])


@pytest.mark.parametrize(
    "columns",
    [{"a": [b"x"], "b": [b"y"]}, {"a": ["text"]}, {"image": ["text"], "a": [1]}, {"a": pa.array([], pa.int8())}],
)
def test_no_telling_which_column(tmp_path: Path, columns: dict[str, Any]) -> None:
    store = LocalStore(str(tmp_path))
    write_parquet(store, "p.parquet", columns)
    with pytest.raises(InputError, match=r"which column holds the images\? There are: " + ", ".join(columns)):
        entries_in(store)


HUGGING_FACE = pa.array([{"bytes": b"x", "path": "x.png"}])


@pytest.mark.parametrize(
    ("columns", "named", "paths"),
    [
        ({"img": HUGGING_FACE, "label": [1]}, None, ["x.png"]),
        ({"image": HUGGING_FACE, "mask": HUGGING_FACE}, None, ["x.png"]),
        ({"left": HUGGING_FACE, "right": [b"x"], "n": [b"y"]}, "left", ["x.png"]),
        ({"a": [b"x"], "b": [b"y"]}, "a", ["p/00000000"]),
        ({"img": pa.array([{"bytes": b"x"}]), "about": pa.array([{"width": 3}])}, None, ["p/00000000"]),
    ],
)
def test_images_in_a_column_of_any_name(
    tmp_path: Path, columns: dict[str, Any], named: str | None, paths: list[str]
) -> None:
    store = LocalStore(str(tmp_path))
    write_parquet(store, "p.parquet", columns)
    listing = list_store(store, named)
    assert [entry.path for entry in listing.entries] == paths
    assert Source(store, named).read(listing.entries[0]) == b"x"
    assert listing.passthrough is None or not {"img", "left"} & set(listing.passthrough.table.column_names)


def test_several_columns_of_images(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    write_parquet(store, "p.parquet", {"left": HUGGING_FACE, "n": [1], "right": HUGGING_FACE})
    with pytest.raises(InputError, match="There are: left, n, right; --image-column says which of left, right"):
        list_store(store)
    with pytest.raises(InputError, match="the column n holds no images' bytes"):
        list_store(store, "n")


def test_what_is_no_parquet(store: ObjectStore) -> None:
    store.write("p.parquet", b"not at all")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        entries_in(store)


def test_damage_inside_costs_images_not_the_job(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    write_parquet(store, "p.parquet", {"image": [os.urandom(3000) for _ in range(4)]}, row_group_size=1)
    data = bytearray(store.read("p.parquet"))
    data[4:40] = bytes(36)
    store.write("p.parquet", bytes(data))
    first, *rest = entries_in(store)
    with pytest.raises(ImageError, match="Parquet"):
        Source(store).read(first)
    assert [len(Source(store).read(entry)) for entry in rest] == [3000] * 3


def test_rows_in_order_open_the_file_and_each_group_once(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(store, "p.parquet", {"image": [b"%d" % n for n in range(10)]}, row_group_size=4)
    entries = entries_in(store)
    opened: list[str] = []
    real = pq.ParquetFile

    def counted(file: Any, metadata: Any = None) -> Any:
        opened.append("footer" if metadata is None else "group")
        return real(file, metadata=metadata)

    monkeypatch.setattr(pq, "ParquetFile", counted)
    assert [Source(store).read(entry) for entry in entries] == [b"%d" % n for n in range(10)]
    assert opened == ["footer", "group", "group", "group"]


def test_a_store_that_fails_while_a_row_is_read_stops_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(str(tmp_path))
    write_parquet(store, "p.parquet", {"image": [b"x"]})
    entry = entries_in(store)[0]

    class Failing(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def seekable(self) -> bool:
            return True

        def seek(self, _offset: int, _whence: int = 0) -> int:
            raise StoreError("the network is down")

    monkeypatch.setattr(LocalStore, "open", lambda _self, _info: Failing())
    with pytest.raises(StoreError, match="the network is down"):
        Source(open_store(str(tmp_path))).read(entry)
