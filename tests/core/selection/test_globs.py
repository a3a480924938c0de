from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.selection.globs import check_pattern, matches
from arm_batch.errors import UsageError


@pytest.mark.parametrize(
    ("pattern", "taken", "left"),
    [
        ("*.png", ["a.png", "x/a.png", "x/y/.png", "a.png/b.jpg"], ["a.PNG", "a.png2", "png"]),
        ("/*.png", ["a.png"], ["x/a.png"]),
        ("x/*.png", ["x/a.png"], ["x/y/a.png", "y/x/a.png", "a.png"]),
        ("thumbs", ["thumbs", "thumbs/a.png", "x/thumbs/y/a.png"], ["thumbs2/a.png", "x/a-thumbs"]),
        ("thumbs/", ["thumbs/a.png", "x/thumbs/a.png"], ["thumbs", "x/thumbs"]),
        ("/thumbs/", ["thumbs/a.png"], ["x/thumbs/a.png", "thumbs"]),
        ("x/**", ["x/a", "x/y/a"], ["x", "y/x/a"]),
        ("**/x", ["x", "x/a", "y/x", "y/z/x/a"], ["xx", "y/xx"]),
        ("x/**/y", ["x/y", "x/a/y", "x/a/b/y/c"], ["x/ay", "a/x/y"]),
        ("**", ["a", "a/b"], []),
        ("a?c", ["abc", "x/a.c"], ["ac", "abbc", "a/c"]),
        ("/a*c", ["ac", "abbc"], ["a/c", "ab/c"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x", "-x"]),
        ("[!a-c]x", ["dx", "-x"], ["ax", "x", "y/ax"]),
        ("/a[!b]c", ["axc"], ["abc", "a/c"]),
        ("[]]x", ["]x"], ["x"]),
        ("[a-]x", ["ax", "-x"], ["bx"]),
        ("[\\^]x", ["\\x", "^x"], ["ax"]),
        (r"\*.png", ["*.png"], ["a.png"]),
        ("a+(b).png", ["a+(b).png"], ["aab.png"]),
        ("ü*", ["über"], ["uber"]),
        ("a**b", ["ab", "axxb"], ["a/b"]),
        ("*", ["a", "a/b", "new\nline"], []),
    ],
)
def test_examples(pattern: str, taken: list[str], left: list[str]) -> None:
    assert [path for path in taken + left if matches(pattern, path)] == taken


@pytest.mark.parametrize("pattern", ["", "/", "//", "a[b", "a[]", "[!]", "a\\", "[b-a]"])
def test_refuses_what_cannot_be_read(pattern: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_pattern(pattern)
    assert repr(pattern) in str(caught.value)


def by_hand(pattern: list[str], path: list[str]) -> bool:
    """Parts against parts, from the root; `path` may go on below."""
    if not pattern:
        return True
    if pattern[0] == "**":
        if len(pattern) == 1:
            return len(path) >= 1
        return any(by_hand(pattern[1:], path[start:]) for start in range(len(path) + 1))
    return bool(path) and one_part(pattern[0], path[0]) and by_hand(pattern[1:], path[1:])


def one_part(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(one_part(pattern[1:], name[start:]) for start in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and one_part(pattern[1:], name[1:])


names = st.text("ab", min_size=1, max_size=3)
globs = st.one_of(st.just("**"), st.text("ab*?", min_size=1, max_size=3))


@given(st.lists(globs, min_size=1, max_size=4), st.booleans(), st.lists(names, min_size=1, max_size=4))
def test_it_is_what_matching_by_hand_gives(parts: list[str], rooted: bool, path: list[str]) -> None:
    pattern = ("/" if rooted else "") + "/".join(parts)
    anywhere = not rooted and len(parts) == 1
    expected = by_hand(["**", *parts] if anywhere else parts, path)
    assert matches(pattern, "/".join(path)) == expected
