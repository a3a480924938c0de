from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.inputs.paths import distinct_paths, safe_path, shown
from arm_batch.storage.base import is_safe_key

UNSAFE = [
    "",
    "/a",
    "../a.png",
    "a/../b",
    "a//b.png",
    "./a",
    "a/",
    "/",
    "..",
    "a\0b.png",
    "\udcff.png",
    "../../..",
    "a/.",
]


@pytest.mark.parametrize("name", UNSAFE)
def test_what_is_unsafe_becomes_safe_and_stays_distinct(name: str) -> None:
    path = safe_path(name)
    assert is_safe_key(path)
    assert path != name
    assert len({safe_path(each) for each in UNSAFE}) == len(UNSAFE)
    if name.endswith(".png"):
        assert path.endswith(".png")


names = st.text("ab/.\0\udcff ü", max_size=8)


@given(st.lists(names, unique=True, max_size=30))
def test_any_name_becomes_a_path_of_its_own(given_names: list[str]) -> None:
    paths = [safe_path(name) for name in given_names]
    assert all(map(is_safe_key, paths))
    assert len(set(paths)) == len(paths)
    assert [path for name, path in zip(given_names, paths, strict=True) if is_safe_key(name)] == list(
        filter(is_safe_key, given_names)
    )


few = st.lists(st.sampled_from(["a.png", "a-2.png", "a-3.png", "a", "b/a.png"]), max_size=8)


@given(few, few)
def test_paths_are_distinct_and_what_is_appended_changes_nothing(first: list[str], more: list[str]) -> None:
    paths = distinct_paths([*first, *more])
    assert len(set(paths)) == len(paths)
    assert all(path in paths for path in first)
    for name, path in zip([*first, *more], paths, strict=True):
        assert PurePosixPath(path).suffix == PurePosixPath(name).suffix
    if len(set(first)) == len(first):
        assert paths[: len(first)] == first


def test_a_path_in_a_line_of_text() -> None:
    assert shown("a b/ü.png") == "a b/ü.png"
    assert shown("a\n\x1b[31m\udcff") == "a\\n\\x1b[31m\\udcff"
