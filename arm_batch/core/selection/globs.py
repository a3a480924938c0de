"""Patterns for paths, much as ``.gitignore`` has them."""

from __future__ import annotations

import functools
import re

from arm_batch.errors import UsageError


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern is for a path, or for a folder that it lies in.

    ``*`` and ``?`` stand for characters of one part of a path, ``[a-z]`` and ``[!a-z]`` for one of a set, ``**``
    as a whole part for any number of parts. A backslash takes the next character literally. A pattern with a slash
    at its beginning or inside is read from the root; one without is for a name at any depth. A slash at its end
    makes it one for folders only. Case counts.

    Args:
        pattern: see `check_pattern`.
        path: ``/``-separated and relative, of a file.

    >>> matches("*.png", "a/b.png"), matches("/*.png", "a/b.png"), matches("a/**/c", "a/c/d.png")
    (True, False, True)
    """
    return _compiled(pattern).match(path) is not None


def check_pattern(pattern: str) -> str:
    """`pattern` itself; `UsageError` when it is empty, or a set in it or a backslash at its end is left open."""
    _compiled(pattern)
    return pattern


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    body = pattern.rstrip("/")
    if not body:
        raise UsageError(f"the pattern {pattern!r} is for nothing")
    parts = body.removeprefix("/").split("/")
    if "/" not in body:
        parts.insert(0, "**")
    expression = ""
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if part != "**":
            expression += _part(part, pattern) + ("" if last else "/")
        else:
            # At the end it is for what lies inside, elsewhere it may also be for nothing.
            expression += ".+" if last else "(?:.*/)?"
    # What matches a folder is for all that lies in it.
    inside = "/.*" if pattern.endswith("/") else "(?:/.*)?"
    return re.compile(rf"(?s:{expression}{inside})\Z")


def _part(part: str, pattern: str) -> str:
    """The regular expression for one part of a path."""
    expression, rest = "", part
    while rest:
        sign, rest = rest[0], rest[1:]
        if sign == "*":
            expression += "[^/]*"
        elif sign == "?":
            expression += "[^/]"
        elif sign == "\\":
            if not rest:
                raise UsageError(f"the pattern {pattern!r} ends in a backslash")
            expression, rest = expression + re.escape(rest[0]), rest[1:]
        elif sign == "[":
            found = re.match(r"(!?)(\]?[^\]]*)\]", rest)
            if found is None or not found[2]:
                raise UsageError(f"the pattern {pattern!r} has a [ without its ]")
            expression += f"(?!/)[{'^' if found[1] else ''}{_members(found[2], pattern)}]"
            rest = rest[found.end() :]
        else:
            expression += re.escape(sign)
    return expression


def _members(text: str, pattern: str) -> str:
    """What stands between the brackets of a set, for a regular expression."""
    members, rest = "", text
    while rest:
        if len(rest) >= 3 and rest[1] == "-":
            if rest[0] > rest[2]:
                raise UsageError(f"the pattern {pattern!r} has a range that runs backwards: {rest[:3]}")
            members, rest = members + f"{re.escape(rest[0])}-{re.escape(rest[2])}", rest[3:]
        else:
            members, rest = members + re.escape(rest[0]), rest[1:]
    return members
