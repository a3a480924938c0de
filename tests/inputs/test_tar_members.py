from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.selection.selection import EVERYTHING
from arm_batch.errors import ImageError
from arm_batch.inputs.listing import list_store, open_input
from arm_batch.inputs.sources import Source
from arm_batch.inputs.tar_headers import BLOCK
from arm_batch.inputs.tar_members import list_members
from arm_batch.storage.base import ObjectInfo, ObjectStore
from arm_batch.storage.local import LocalStore

Member = tuple[str, bytes]


def pack(*members: Member | tarfile.TarInfo, format: int = tarfile.GNU_FORMAT, **options: Any) -> bytes:
    """A tar file of files by name and content, and of ready members without data."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format, errors="surrogateescape", **options) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def contents(store: ObjectStore) -> dict[str, bytes | str]:
    """Bytes by path, or why there are none."""
    found: dict[str, bytes | str] = {}
    for entry in list_store(store).entries:
        try:
            found[entry.path] = Source(store).read(entry)
        except ImageError as error:
            found[entry.path] = str(error)
    return found


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path))


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_shards_of_samples(store: ObjectStore, format: int) -> None:
    for shard in range(2):
        samples = [(f"{n}.{kind}", b"%d" % n * n) for n in range(3) for kind in ("jpg", "json", "CLS", "npy")]
        store.write(f"train/{shard:05d}.tar", pack(*samples, format=format))
    store.write("train/index.parquet", b"not read")
    found = list_store(store)
    assert contents(store) == {f"train/{shard:05d}/{n}.jpg": b"%d" % n * n for shard in range(2) for n in range(3)}
    assert found.skipped == (
        "1 .parquet files: where there are .tar files, those are taken",
        "in tar files: 6 of other kinds (.npy 6)",
    )
    assert [entry.size for entry in found.entries] == [0, 1, 2] * 2
    assert found.passthrough is not None
    texts = found.passthrough.of(entry.path for entry in found.entries)
    assert texts.to_pydict() == {"json": ["", "1", "22"] * 2, "cls": ["", "1", "22"] * 2}


def test_texts_go_with_all_images_of_their_key(local: LocalStore) -> None:
    members = [
        *(("./a/1.txt", "ü".encode()), ("a/1.left.png", b"l"), ("a/1.right.png", b"r"), ("a/1.json", b"{}")),
        *(("b/1.png", b"other"), ("b/1.txt", b"\xff"), ("b/1.json", b"x" * 70_000), ("b/1.seg.txt", b"no")),
    ]
    local.write("t.tar", pack(*members))
    found = list_store(local)
    assert found.passthrough is not None
    assert dict(
        zip(
            (e.path for e in found.entries),
            found.passthrough.of(e.path for e in found.entries).to_pylist(),
            strict=True,
        )
    ) == {
        "t/a/1.left.png": {"json": "{}", "txt": "ü"},
        "t/a/1.right.png": {"json": "{}", "txt": "ü"},
        "t/b/1.png": {"json": None, "txt": None},
    }
    assert found.skipped == ("in tar files: 3 of other kinds (.txt 2, .json 1)",)


def test_one_tar(store: ObjectStore) -> None:
    store.write("a.TAR", pack(("x/1.png", b"one")))
    found = open_input(f"{store.url}/a.TAR", getattr(store, "endpoint_url", None))
    (entry,) = found.listing(EVERYTHING).entries
    assert (entry.path, found.source.read(entry)) == ("a/x/1.png", b"one")


def test_images_go_before_tars(local: LocalStore) -> None:
    local.write("a.tar", pack(("1.png", b"one")))
    local.write("b.png", b"two")
    found = list_store(local)
    assert [entry.path for entry in found.entries] == ["b.png"]
    assert found.skipped == ("1 .tar files: where there are image files, those are taken",)


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_any_kind(local: LocalStore, format: int) -> None:
    long = "d" * 150 + "/" + "n" * 300 + ".png"
    names = [
        "./1.png",
        "/etc/2.png",
        "../../3.png",
        "a//4.png",
        "ü/5.png",
        long,
        "\udcff6.png",
        "new\nline.png",
    ]
    local.write("t.tar", pack(*((name, b"%d" % n) for n, name in enumerate(names, 1)), format=format))
    found = contents(local)
    assert sorted(found.values()) == [b"%d" % n for n in range(1, 9)]
    assert all(path.startswith("t/") for path in found)
    by_content = {data: path for path, data in found.items()}
    assert by_content[b"1"] == "t/1.png"
    assert by_content[b"2"].startswith("t/etc/2-")
    assert by_content[b"3"].startswith("t/3-")
    assert by_content[b"5"] == "t/ü/5.png"
    assert by_content[b"6"] == f"t/{long}"
    assert by_content[b"8"] == "t/new\nline.png"


def test_the_same_name_twice_is_two_images(local: LocalStore) -> None:
    local.write("t.tar", pack(("a.png", b"one"), ("a.png", b"two")))
    assert contents(local) == {"t/a.png": b"one", "t/a-2.png": b"two"}


def test_what_is_no_file_is_a_failed_row(local: LocalStore) -> None:
    members: list[tuple[str, bytes] | tarfile.TarInfo] = [
        ("a.png", b"data"),
        special("hard.png", tarfile.LNKTYPE, "a.png"),
        special("lost.png", tarfile.LNKTYPE, "missing.png"),
        special("soft.png", tarfile.SYMTYPE, "/etc/passwd"),
        special("device.png", tarfile.CHRTYPE),
        special("pipe.png", tarfile.FIFOTYPE),
        special("folder.png", tarfile.DIRTYPE),
        special("sparse.png", tarfile.GNUTYPE_SPARSE),
        ("._a.png", b"resource fork"),
        (".git/b.png", b""),
        ("after.png", b"last"),
    ]
    local.write("t.tar", pack(*members))
    assert contents(local) == {
        "t/a.png": b"data",
        "t/hard.png": b"data",
        "t/lost.png": "is a link inside its tar file",
        "t/soft.png": "is a link inside its tar file",
        "t/device.png": "is not a regular file",
        "t/pipe.png": "is not a regular file",
        "t/sparse.png": "is stored as a sparse file, which is not supported",
        "t/after.png": b"last",
    }
    assert list_store(local).skipped == ("in tar files: 2 whose names begin with a dot",)


def test_sparse_files_that_tar_writes(local: LocalStore) -> None:
    """Their maps are passed over right, in both ways that GNU tar writes them."""
    header = special("s.png", tarfile.GNUTYPE_SPARSE)
    header.size = 3
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    block[482] = 1
    more = bytearray(BLOCK)
    more[504] = 1
    data = _checked(block) + more + bytes(BLOCK) + b"xyz".ljust(BLOCK, b"\0")
    attributes = {"GNU.sparse.major": "1", "GNU.sparse.name": "real.png"}
    info = tarfile.TarInfo("GNUSparseFile.0/real.png")
    info.pax_headers = attributes
    local.write("t.tar", data + pack(info, ("z.png", b"z"), format=tarfile.PAX_FORMAT))
    told = "is stored as a sparse file, which is not supported"
    assert contents(local) == {"t/s.png": told, "t/real.png": told, "t/z.png": b"z"}


def _checked(block: bytearray) -> bytes:
    """A header with its checksum."""
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda _: b"", "this tar file is empty"),
        (lambda data: b"\x1f\x8b" + data, "is not a tar file"),
        (lambda data: data[:100], "is not a tar file"),
        (lambda data: data[:1024] + b"\xff" * 512 + data[1536:], "damaged at byte 1,024; what follows"),
        (lambda data: data[:1024] + data[1124:], "damaged at byte 1,024"),
        (lambda data: data[: 1024 + 512 + 3], "cut off within 'b.png'"),
        (lambda data: data[: 1024 + 100], "damaged at byte 1,024"),
    ],
)
def test_damage_costs_what_follows_and_is_told(local: LocalStore, spoil: Any, told: str) -> None:
    data = pack(("a.png", b"one"), ("b.png", b"twotwo"))
    local.write("t.tar", spoil(data))
    local.write("u.tar", pack(("c.png", b"three")))
    found = contents(local)
    assert found["u/c.png"] == b"three"
    assert told in str(found["t.tar"])
    assert ("t/a.png" in found) == (len(spoil(data)) > 1024 and spoil(data)[:1] == b"a")


def test_a_missing_end_is_told_and_what_was_put_behind_is_found(local: LocalStore) -> None:
    data = pack(("a.png", b"one"))
    local.write("t.tar", data[:1024])
    local.write("u.tar", data + pack(("b.png", b"two")))
    local.write("v.tar", data + b"something else")
    assert contents(local) == {"t/a.png": b"one", "u/a.png": b"one", "u/b.png": b"two", "v/a.png": b"one"}
    assert list_store(local).skipped == ("t.tar ends without the mark of an end: it may have been cut off there",)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [2 << 20, 1 << 40, -512, -513])
def test_a_header_of_no_possible_size_is_damage(local: LocalStore, kind: bytes, size: int) -> None:
    info = special("x", kind)
    info.size = size
    local.write("t.tar", info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    assert contents(local) == {"t.tar": "is not a tar file"}
    info.type = tarfile.REGTYPE
    local.write("t.tar", info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    assert set(contents(local)) == {"t.tar"}


@pytest.mark.parametrize(
    "record", [b"99 path=a\n", b"x path=a\n", b"9 path=a", b"0 path=a\n", b"8 path a\n", b"18 size=-0000000001\n"]
)
def test_attributes_that_cannot_be_read_are_damage(local: LocalStore, record: bytes) -> None:
    info = special("x", tarfile.XHDTYPE)
    info.size = len(record)
    local.write("t.tar", info.tobuf() + record.ljust(BLOCK, b"\0") + pack(("a.png", b"one")))
    assert set(contents(local)) == {"t.tar"}


def test_a_tar_that_changed_is_not_read_by_its_old_places(store: ObjectStore) -> None:
    store.write("t.tar", pack(("a.png", b"one")))
    (entry,) = list_store(store).entries
    store.write("t.tar", pack(("b.png", b"other"), ("a.png", b"one")))
    with pytest.raises(ImageError, match="changed since it was listed"):
        Source(store).read(entry)


def test_headers_are_read_in_few_requests(local: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small members share requests, and the data of large ones is passed over."""
    asked: list[int] = []
    real = LocalStore.fetch_range

    def counted(store: LocalStore, key: str, etag: str, start: int, length: int) -> bytes:
        asked.append(length)
        return real(store, key, etag, start, length)

    monkeypatch.setattr(LocalStore, "fetch_range", counted)
    for size, requests, share in ((2_000, 25, 1.1), (1_000_000, 101, 0.05)):
        asked.clear()
        local.write("t.tar", data := pack(*((f"{n}.png", bytes(size)) for n in range(100))))
        assert len(list_members(local, local.stat("t.tar")).entries) == 100
        assert len(asked) <= requests
        assert sum(asked) <= share * len(data)


member_names = st.text("ab./ü", min_size=1, max_size=120).map(lambda name: f"{name}.png")
members = st.lists(st.tuples(member_names, st.binary(max_size=1500)), max_size=6)


@given(members, st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_what_is_found_is_what_the_standard_library_finds(
    tmp_path_factory: Any, files: list[Member], format: int
) -> None:
    store = LocalStore(str(tmp_path_factory.mktemp("tar")))
    data = pack(*files, format=format)
    store.write("t.tar", data)
    found = list_members(store, ObjectInfo("t.tar", len(data), store.stat("t.tar").etag))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        visible = [
            m for m in tar if not any(p.startswith(".") and p not in (".", "..") for p in m.name.split("/"))
        ]
        expected = [(m.offset_data, m.size) for m in visible if m.name.endswith(".png")]
    assert [(entry.offset, entry.size) for entry in found.entries] == expected
    assert [Source(store).read(entry) for entry in found.entries] == [data[a : a + n] for a, n in expected]


@given(st.binary(max_size=4000), st.integers(0, 3000), st.integers(0, 255))
def test_no_bytes_make_it_fail(tmp_path_factory: Any, noise: bytes, position: int, value: int) -> None:
    store = LocalStore(str(tmp_path_factory.mktemp("tar")))
    data = bytearray(pack(("a.png", b"one"), ("n" * 200 + ".png", b"two"), format=tarfile.PAX_FORMAT))
    data[position] = value
    for each in (noise, bytes(data), bytes(data[:position])):
        store.write("t.tar", each)
        for entry in list_members(store, store.stat("t.tar")).entries:
            if entry.problem is None:
                assert entry.offset is not None
                assert entry.offset + entry.size <= len(each)
                Source(store).read(entry)
