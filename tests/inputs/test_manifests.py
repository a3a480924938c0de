from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from arm_batch.core.selection.selection import EVERYTHING
from arm_batch.errors import ImageError, InputError, StoreError
from arm_batch.inputs.listing import Input, open_input
from arm_batch.inputs.manifests import list_entries
from arm_batch.inputs.uris import Places, resolve
from arm_batch.storage.local import LocalStore
from arm_batch.storage.s3.client import s3_client
from arm_batch.storage.s3.store import S3Store

BUCKET = S3Store(bucket="lists", prefix="deep/er")


def read_all(found: Input) -> dict[str, bytes | str]:
    """Bytes by path, or why there are none."""
    contents: dict[str, bytes | str] = {}
    for entry in found.listing(EVERYTHING).entries:
        try:
            contents[entry.path] = found.source.read(entry)
        except ImageError as error:
            contents[entry.path] = str(error)
    return contents


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "lists/here.jpg",
        "lists/sub/b.png",
        "other/c.png",
        "other/d e#%?.png",
        "other/ü.tif",
        "lists/#1.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


@pytest.mark.parametrize(
    ("uri", "base", "key", "path"),
    [
        ("a.jpg", LocalStore("/x"), "/x/a.jpg", "a.jpg"),
        ("./b/a.jpg", LocalStore("/x"), "/x/./b/a.jpg", "b/a.jpg"),
        ("../a.jpg", LocalStore("/x"), "/x/../a.jpg", "../a.jpg"),
        ("/y/a.jpg", LocalStore("/x"), "/y/a.jpg", "y/a.jpg"),
        ("a.jpg", LocalStore("/"), "/a.jpg", "a.jpg"),
        ("file:///y/a%20b%23.jpg", LocalStore("/x"), "/y/a b#.jpg", "y/a b#.jpg"),
        ("FILE:///y/a?b#c.jpg", LocalStore("/x"), "/y/a?b#c.jpg", "y/a?b#c.jpg"),
        ("s3://b/c d%20//e?f#.jpg", LocalStore("/x"), "s3://b/c d%20//e?f#.jpg", "b/c d%20//e?f#.jpg"),
        ("a.jpg", BUCKET, "s3://lists/deep/er/a.jpg", "a.jpg"),
        ("../b//a.jpg", BUCKET, "s3://lists/deep/b//a.jpg", "../b//a.jpg"),
        ("../../../a.jpg", BUCKET, "s3://lists/a.jpg", "../../../a.jpg"),
        ("/a.jpg", BUCKET, "/a.jpg", "a.jpg"),
        ("a.jpg", S3Store(bucket="lists", prefix=""), "s3://lists/a.jpg", "a.jpg"),
        ("c:a.jpg", LocalStore("/x"), "/x/c:a.jpg", "c:a.jpg"),
    ],
)
def test_where_a_line_leads(uri: str, base: LocalStore | S3Store, key: str, path: str) -> None:
    assert resolve(uri, base) == (key, path)


WRITE = "write s3://bucket/key"

READ_NO_WHERE = {
    "http:///a.jpg": "write https://host/path",
    "HTTPS://x": "write https://host/path",
    "gs://b/a.jpg": "gs:// cannot be read; write paths, s3:// and https:// URLs, and fetch anything else before",
    "s3://": WRITE,
    "s3://b": WRITE,
    "s3:///a": WRITE,
}


@pytest.mark.parametrize("uri", READ_NO_WHERE)
def test_what_no_store_holds_fails_alone(folder: Path, uri: str) -> None:
    (folder / "list.txt").write_text(f"lists/here.jpg\n{uri}\n")
    found = read_all(open_input(str(folder / "list.txt")))
    assert found.pop("lists/here.jpg") == b"lists/here.jpg"
    assert list(found.values()) == [f"{uri}: {READ_NO_WHERE[uri]}"]


@pytest.mark.parametrize("uri", READ_NO_WHERE)
def test_a_list_of_nothing_but_such_is_refused_naming_the_line(folder: Path, uri: str) -> None:
    (folder / "list.txt").write_text(f"# images\n{uri}\n{uri}\n")
    with pytest.raises(InputError) as caught:
        open_input(str(folder / "list.txt")).listing(EVERYTHING)
    assert str(caught.value) == f"{folder}/list.txt names nothing that can be read; 2: {uri}: {READ_NO_WHERE[uri]}"


def test_what_only_one_line_suffers_from_fails_alone(
    folder: Path, s3_endpoint: str, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = s3_client(s3_endpoint)
    client.put_object(Bucket=s3_bucket, Key="a.png", Body=b"one")
    real = client.head_object

    def head(Bucket: str, Key: str) -> Any:  # noqa: N803 - boto3's names
        if Key == "secret.png":
            raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")
        return real(Bucket=Bucket, Key=Key)

    monkeypatch.setattr(client, "head_object", head)
    (folder / "lists" / "loop.png").symlink_to("loop.png")
    lines = {
        f"s3://{s3_bucket}/a.png": b"one",
        "here.jpg": b"lists/here.jpg",
        "s3://a b/c.png": 'Invalid bucket name "a b"',
        "s3://nowhere/c.png": "does not exist, or is a folder",
        f"s3://{s3_bucket}/x/../c.png": "not a key that stays inside its folder",
        f"s3://{s3_bucket}/{'k' * 1100}.png": None,
        f"{'n' * 300}.png": "file name too long",
        "loop.png": "too many levels of symbolic links",
        "a\0b.png": "not a key that stays inside its folder",
        "file:///a%00b.png": "not a key that stays inside its folder",
    }
    (folder / "lists" / "l.txt").write_text("\n".join(lines))
    entries = open_input(str(folder / "lists" / "l.txt"), s3_endpoint)
    listed = list_entries(LocalStore(str(folder / "lists")), "l.txt", Places(s3_endpoint))[0]
    source = entries.source
    for entry, told in zip(listed, lines.values(), strict=True):
        if isinstance(told, bytes):
            assert source.read(entry) == told
            continue
        with pytest.raises(ImageError) as caught:
            source.read(entry)
        assert told is None or str(caught.value) == told


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "ExpiredToken"])
def test_what_all_lines_suffer_from_ends_the_run(
    folder: Path, s3_endpoint: str, s3_bucket: str, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    def head(**_request: str) -> Any:
        answer = {"Error": {"Code": code, "Message": "No."}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        raise ClientError(answer, "HeadObject")  # type: ignore[arg-type]

    client = s3_client(s3_endpoint)
    monkeypatch.setattr(client, "head_object", head)
    monkeypatch.setattr(client, "get_object", head)
    (folder / "list.txt").write_text(f"lists/here.jpg\ns3://{s3_bucket}/a.png\n")
    with pytest.raises(StoreError, match="the credentials and run the same command again"):
        open_input(str(folder / "list.txt"), s3_endpoint).listing(EVERYTHING)


def test_a_text_file(folder: Path) -> None:
    lines = [
        "\ufeff# a comment",
        "here.jpg",
        "",
        "sub/b.png\r",
        "   ",
        "../other/c.png",
        f"{folder}/other/d e#%?.png",
        f"file://{folder}/other/%C3%BC.tif",
        "./#1.jpg",
        "missing.jpg",
        "sub",
        "here.jpg",
    ]
    (folder / "lists" / "list.txt").write_text("\n".join(lines))
    root = str(folder).removeprefix("/")
    found = read_all(open_input(str(folder / "lists" / "list.txt")))
    outside = next(path for path in found if path.startswith("other/c-"))
    assert found == {
        "here.jpg": b"lists/here.jpg",
        "here-2.jpg": b"lists/here.jpg",
        "sub/b.png": b"lists/sub/b.png",
        outside: b"other/c.png",
        f"{root}/other/d e#%?.png": b"other/d e#%?.png",
        f"{root}/other/ü.tif": "other/ü.tif".encode(),
        "#1.jpg": b"lists/#1.jpg",
        "missing.jpg": "does not exist, or is a folder",
        "sub": "does not exist, or is a folder",
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", 'caption,path\n"a, b",here.jpg\nc,"sub/b.png"\n'),
        ("l.tsv", "url\tpath\nx\there.jpg\ny\tsub/b.png"),
        ("l.csv", "file_name\nhere.jpg\n\nsub/b.png\n"),
        ("l.CSV", "anything\r\nhere.jpg\r\nsub/b.png\r\n"),
    ],
)
def test_tables(folder: Path, name: str, text: str) -> None:
    (folder / "lists" / name).write_text(text, newline="")
    found = read_all(open_input(str(folder / "lists" / name)))
    assert found == {"here.jpg": b"lists/here.jpg", "sub/b.png": b"lists/sub/b.png"}


@pytest.mark.parametrize(
    "columns", [{"uri": ["here.jpg", None, ""], "n": [1, 2, 3]}, {"x": ["here.jpg", None, ""]}]
)
def test_parquet_of_names(folder: Path, columns: Mapping[str, list[object]]) -> None:
    pq.write_table(pa.table(columns), folder / "lists" / "l.parquet")
    assert read_all(open_input(str(folder / "lists" / "l.parquet"))) == {
        "here.jpg": b"lists/here.jpg",
        "l.parquet/00000002": "the list names nothing here",
        "l.parquet/00000003": "the list names nothing here",
    }


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("l.txt", b"# nothing\n\n", "names no image"),
        ("l.txt", "a.jpg".encode("utf-16"), "is UTF-16"),
        ("l.csv", b"", "which column"),
        ("l.csv", b"a,b\n1,2\n", "which column .* there are: a, b"),
        ("l.csv", b"path,b\nx.jpg\n", "row 1 has 1 cells where the header has 2"),
        ("l.csv", b'path\n"x.jpg\n', "cannot be read as a table"),
        ("l.parquet", b"no", "cannot be read as Parquet"),
    ],
)
def test_lists_that_make_no_sense(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=told) as caught:
        open_input(str(tmp_path / name)).listing(EVERYTHING)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_not_utf8_fails_alone(folder: Path) -> None:
    (folder / "lists" / "l.txt").write_bytes(b"here.jpg\nb\xff.jpg\n")
    found = read_all(open_input(str(folder / "lists" / "l.txt")))
    assert found == {"here.jpg": b"lists/here.jpg", "b\\xff.jpg": "does not exist, or is a folder"}


def test_what_is_no_file_does_not_block_and_is_called_what_it_is(folder: Path) -> None:
    os.mkfifo(folder / "lists" / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "lists" / "socket.png"))
    (folder / "lists" / "l.txt").write_text("pipe.png\nsocket.png\n/dev/zero\n/dev/tty\nsub\nhere.png\n")
    (folder / "lists" / "here.png").write_bytes(b"here")
    assert read_all(open_input(str(folder / "lists" / "l.txt"))) == {
        "here.png": b"here",
        "pipe.png": "is a named pipe, not a regular file",
        "socket.png": "is a socket, not a regular file",
        "dev/zero": "is a device, not a regular file",
        "dev/tty": "is a device, not a regular file",
        "sub": "does not exist, or is a folder",
    }


@pytest.mark.parametrize("name", ["l.txt", "l.parquet", "l.png"])
def test_a_pipe_as_input_is_refused(folder: Path, name: str) -> None:
    os.mkfifo(folder / name)
    with pytest.raises(InputError, match=f"{name}: is a named pipe, not a regular file$"):
        open_input(str(folder / name))


def test_a_pipe_that_came_into_the_place_of_a_file_does_not_block(folder: Path) -> None:
    (folder / "lists" / "l.txt").write_text("here.jpg")
    found = open_input(str(folder / "lists" / "l.txt"))
    (entry,) = found.listing(EVERYTHING).entries
    (folder / "lists" / "here.jpg").unlink()
    os.mkfifo(folder / "lists" / "here.jpg")
    with pytest.raises(ImageError, match="is a named pipe, not a regular file"):
        found.source.read(entry)


def test_what_came_or_changed_after_the_list_was_read(folder: Path) -> None:
    (folder / "lists" / "l.txt").write_text("here.jpg\nlater.jpg")
    found = open_input(str(folder / "lists" / "l.txt"))
    before = found.listing(EVERYTHING).entries
    for name in ("here.jpg", "later.jpg"):
        (folder / "lists" / name).write_bytes(b"new")
    for entry, told in zip(before, ("changed since", "does not exist"), strict=True):
        with pytest.raises(ImageError, match=told):
            found.source.read(entry)
    assert [found.source.read(entry) for entry in found.listing(EVERYTHING).entries] == [b"new", b"new"]


def test_several_buckets_and_a_folder(folder: Path, s3_endpoint: str, s3_bucket: str) -> None:
    client = s3_client(s3_endpoint)
    client.create_bucket(Bucket="another")
    client.put_object(Bucket=s3_bucket, Key="lists/x/a.jpg", Body=b"one")
    client.put_object(Bucket="another", Key="a b//c%2F.jpg", Body=b"two")
    lines = [
        "x/a.jpg",
        "s3://another/a b//c%2F.jpg",
        f"{folder}/other/c.png",
        "s3://another/no.jpg",
        "s3://nowhere/a",
    ]
    client.put_object(Bucket=s3_bucket, Key="lists/l.txt", Body="\n".join(lines).encode())
    found = open_input(f"s3://{s3_bucket}/lists/l.txt", s3_endpoint)
    contents = read_all(found)
    (odd,) = (path for path in contents if path.startswith("another/a b/c%2F-"))
    assert contents == {
        "x/a.jpg": b"one",
        odd: b"two",
        f"{folder}/other/c.png".removeprefix("/"): b"other/c.png",
        "another/no.jpg": "does not exist, or is a folder",
        "nowhere/a": "does not exist, or is a folder",
    }
