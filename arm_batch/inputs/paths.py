"""Paths for images whose own names may be anything."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from arm_batch.storage.base import is_safe_key

_SUFFIXES_TOLD = 4


def safe_path(name: str) -> str:
    """`name` where it is a relative path that stays inside its folder, else one made of it, told apart by a hash.

    It follows from the name alone, so that it stays the same whatever else there is.

    >>> safe_path("a/b.png"), safe_path("/../a//b.png")
    ('a/b.png', 'a/b-525ae1ea.png')
    """
    if is_safe_key(name):
        return name
    parts = [part for part in name.replace("\0", "_").split("/") if part not in ("", ".", "..")]
    cleaned = PurePosixPath("/".join(parts or ["unnamed"]).encode(errors="replace").decode())
    return str(cleaned.with_name(f"{cleaned.stem}-{_digest(name)}{cleaned.suffix}"))


def distinct_paths(paths: Iterable[str]) -> list[str]:
    """The paths in their order; where one comes again, a number is put into it.

    What comes first keeps its path, so what is appended later changes nothing.

    >>> distinct_paths(["a.png", "b.png", "a.png"])
    ['a.png', 'b.png', 'a-2.png']
    """
    given = list(paths)
    taken = set(given)
    seen: dict[str, int] = {}
    found: list[str] = []
    for path in given:
        number = seen[path] = seen.get(path, 0) + 1
        candidate = path
        while number > 1 and candidate in taken:
            pure = PurePosixPath(path)
            candidate = str(pure.with_name(f"{pure.stem}-{number}{pure.suffix}"))
            number += 1
        taken.add(candidate)
        found.append(candidate)
    return found


def suffix_of(name: str) -> str:
    """The extension of a name in lower case, for counting."""
    return PurePosixPath(name).suffix.lower() or "no extension"


def told_suffixes(suffixes: Counter[str]) -> str:
    """Such as ``3 of other kinds (.txt 2, .xml 1)``."""
    kinds = [f"{suffix} {count:,}" for suffix, count in suffixes.most_common(_SUFFIXES_TOLD)]
    more = ", ..." if len(suffixes) > _SUFFIXES_TOLD else ""
    return f"{suffixes.total():,} of other kinds ({shown(', '.join(kinds))}{more})"


def shown(path: str) -> str:
    """A path for a line of text: control characters and what is no valid Unicode as escapes."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in path)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:8]
