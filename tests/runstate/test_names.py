from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.images import FORMATS
from arm_batch.inputs.sources import Entry
from arm_batch.runstate.names import output_names, with_extension


def names(paths: list[str], format: str = "png") -> list[str]:
    return output_names([Entry(path=path, key=path, row=None, size=0, etag="") for path in paths], format)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a.jpg", "b/c.PNG"], ["a.png", "b/c.png"]),
        (["a.png", "a.jpg", "b.jpg"], ["a.png.png", "a.jpg.png", "b.png"]),
        (["A.jpg", "a.png"], ["A.jpg.png", "a.png.png"]),
        (["a.png", "a.jpg", "a.png.tif"], ["a.png.png", "a.jpg.png", "a.png.tif.png"]),
        (["a.png/b.jpg", "a.jpg"], ["a.png/b.png", "a.jpg.png"]),
        (["train/00000001", "photo.v2", ".jpg"], ["train/00000001.png", "photo.v2.png", ".jpg.png"]),
    ],
)
def test_examples(paths: list[str], expected: list[str]) -> None:
    assert names(paths) == expected
    assert names(paths[::-1]) == expected[::-1]


def test_extensions() -> None:
    assert names(["a.tif"], "jpeg") == ["a.jpg"]
    assert names(["a.tif"], "webp") == ["a.webp"]
    kept = ["a.jpg", "b.webp", "c.tif", "d.avif", "e.png"]
    assert names(kept, "auto") == kept
    assert names(["a.JPEG", "b.tiff", "c.bmp", "train/7"], "auto") == ["a.jpg", "b.tif", "c.png", "train/7.png"]
    assert names(["a.png", "a.jpg"], "auto") == ["a.png.png", "a.jpg.jpg"]


def test_case_and_composition_alone_are_told_apart_by_a_hash() -> None:
    for paths in (["a.png", "A.png"], ["é.png", "e\u0301.png"]):
        first, second = names(paths)
        assert folded(first) != folded(second)


def test_a_long_name_is_shortened_to_a_hash() -> None:
    (name,) = names(["d/" + "x" * 250 + ".png"], "png")
    assert name == "d/" + "x" * 250 + ".png"
    # With the longest extension that it may yet get it would be too long.
    (name,) = names(["d/" + "x" * 251 + ".png"], "png")
    assert name.startswith("d/")
    assert len(name) == 2 + 64 + 4


def test_long_folders_are_shortened_to_hashes() -> None:
    paths = ["d" * 300 + "/a.png", "e" * 300 + "/a.png", "f/" * 400 + "a.png", "f/" * 401 + "a.png", "ok/a.png"]
    outputs = names(paths)
    assert len(set(outputs)) == len(paths)
    assert all(len(part.encode()) <= 255 for name in outputs for part in name.split("/"))
    assert all(len(name.encode()) <= 600 + 1 + 255 and name.endswith("/a.png") for name in outputs)
    assert outputs[-1] == "ok/a.png"


def folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


parts = st.sampled_from(
    ["a", "A", "b", "a.png", "a.jpg", "a.PNG", "a.png.png", "a.jpg.png", "a.tif", "b.webp", "é", "é", "a.png.jpg"]
)
paths = st.lists(st.lists(parts, min_size=1, max_size=3).map("/".join), unique=True, max_size=30)


@given(paths, st.sampled_from(["auto", "png", "jpeg"]), st.data())
def test_names_are_unique_and_no_file_is_a_folder(paths: list[str], format: str, data: st.DataObject) -> None:
    # Whatever format planning finds for each.
    found = st.sampled_from([None, *FORMATS])
    outputs = [
        name if (other := data.draw(found)) is None else with_extension(name, other)
        for name in names(paths, format)
    ]
    assert len({folded(name) for name in outputs}) == len(paths)
    folders = {folded(str(parent)) for name in outputs for parent in PurePosixPath(name).parents}
    assert not folders & {folded(name) for name in outputs}
    assert [str(PurePosixPath(name).parent) for name in outputs] == [str(PurePosixPath(p).parent) for p in paths]
