"""Sizes of files as people write them."""

from __future__ import annotations

import re

from arm_batch.errors import UsageError

_SIZE = re.compile(r"(\d{1,15})\s*([KMGT]?i?)B?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """Read a number of bytes; `UsageError` where it is none.

    >>> [parse_size(text) for text in ("0", "20KB", "1 MiB", "3g")]
    [0, 20000, 1048576, 3000000000]
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no size of a file: write such as 20KB, 5MB or 1MiB")
    unit = match[2].lower()
    return int(match[1]) * int((1024 if unit.endswith("i") else 1000) ** _POWERS[unit.removesuffix("i")])
