from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from arm_batch.errors import InputError, StoreError
from arm_batch.inputs.folders import Walk, walk_folder
from arm_batch.inputs.sources import is_image


def walk(root: Path) -> Walk:
    return walk_folder(str(root), is_image)


def keys(root: Path) -> list[str]:
    return [info.key for info in walk(root).infos]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(path.name))


def test_folders_go_before_links_to_them(tmp_path: Path) -> None:
    touch(tmp_path / "z" / "deep" / "a.png")
    (tmp_path / "a").symlink_to("z/deep")
    (tmp_path / "z" / "b").symlink_to("..")
    found = walk(tmp_path)
    assert [info.key for info in found.infos] == ["z/deep/a.png"]
    assert found.links == [
        "a is a link to z/deep, which is taken already",
        "z/b is a link to INPUT, which is taken already",
    ]


def test_rings_between_folders_outside_end(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        touch(tmp_path / name / f"{name}.png")
        for other in ("one", "two", "three"):
            (tmp_path / name / f"to-{other}").symlink_to(tmp_path / other)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "here").symlink_to(tmp_path / "one")
    found = walk(tmp_path / "in")
    assert [info.key for info in found.infos] == ["here/one.png", "here/to-three/three.png", "here/to-two/two.png"]
    assert len(found.links) == 1 + 3 + 3


def test_links_to_files_are_files(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("a.png")
    (tmp_path / "broken.txt").symlink_to("nothing")
    found = walk(tmp_path)
    assert [(info.key, info.size) for info in found.infos] == [("a.png", 5), ("b.png", 5)]
    assert found.problems == []


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    touch(tmp_path / "real" / "a.png")
    (tmp_path / "link").symlink_to("real")
    assert keys(tmp_path / "link") == ["a.png"]


def failing_on(name: str, number: int, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    real = getattr(os, function)

    def act(path: Any, *arguments: Any, **options: Any) -> Any:
        if str(path).endswith(name):
            raise OSError(number, os.strerror(number), path)
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, function, act)


def test_a_subfolder_that_may_not_be_listed_is_one_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "a" / "1.png", tmp_path / "b" / "2.png")
    failing_on("/a", errno.EACCES, monkeypatch, "scandir")
    found = walk(tmp_path)
    assert [info.key for info in found.infos] == ["b/2.png"]
    assert found.problems == [("a", "this folder cannot be listed: permission denied")]
    with pytest.raises(InputError, match="permission denied"):
        walk(tmp_path / "a")


def test_files_that_may_not_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "1.png", tmp_path / "2.png")
    failing_on("1.png", errno.EACCES, monkeypatch, "stat")
    found = walk(tmp_path)
    assert [info.key for info in found.infos] == ["2.png"]
    assert found.problems == [("1.png", "permission denied")]


@pytest.mark.parametrize("function", ["scandir", "stat"])
def test_a_disk_that_fails_stops_the_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    touch(tmp_path / "a" / "1.png")
    failing_on("/a" if function == "scandir" else "1.png", errno.EIO, monkeypatch, function)
    with pytest.raises(StoreError, match="Input/output error"):
        walk(tmp_path)


def test_what_vanishes_meanwhile_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a" / "1.png", tmp_path / "2.png")
    failing_on("/a", errno.ENOENT, monkeypatch, "scandir")
    failing_on("2.png", errno.ENOENT, monkeypatch, "stat")
    found = walk(tmp_path)
    assert (found.infos, found.problems) == ([], [])


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    for name in (b"\xff.png", b"\xff.txt", b"\xfe/a.png"):
        touch(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)))
    found = walk(tmp_path)
    assert found.infos == []
    assert found.problems == [
        ("\\xfe/a.png", "its name is not valid UTF-8: rename it"),
        ("\\xff.png", "its name is not valid UTF-8: rename it"),
    ]
