"""Finding images that are there more than once, by their bytes."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from arm_batch.errors import ImageError
from arm_batch.inputs.sources import Entry, Source

_MD5 = re.compile(r"[0-9a-f]{32}")
"""The ETag of an object in S3 that was written in one request."""


def put_duplicates_behind(source: Source, entries: Sequence[Entry], images: int, size: int) -> list[Entry]:
    """Find entries of the same bytes, and move each behind the first of them, marked as its copy.

    Only entries of a size that another has too are looked into, and of objects in S3 the ETag is taken where it is
    a hash. Rows of Parquet files have no size in the listing, so all of them are read.

    Args:
        source: reads them.
        entries: sorted by path; none of them marked.
        images: at most so many of the same bytes go together; further ones begin anew.
        size: bytes that they come to together, unless they are two.

    Returns:
        The entries, each original followed by its copies. What cannot be read is nobody's copy.

    Raises:
        StoreError: the store cannot be reached.
    """
    members: dict[bytes, list[Entry]] = {}
    digests = _digests(source, entries)
    for entry in entries:
        if (digest := digests.get(entry.path)) is not None:
            members.setdefault(digest, []).append(entry)
    ordered: list[Entry] = []
    for entry in entries:
        digest = digests.get(entry.path)
        if digest is None:
            ordered.append(entry)
        else:
            # A group goes where its first one is.
            ordered += _marked(members.pop(digest, []), images, size)
    return ordered


def _marked(group: Sequence[Entry], images: int, size: int) -> Iterator[Entry]:
    # What is together is written together: it must not grow without bounds.
    most = min(images, max(2, size // max(group[0].size, 1))) if group else 1
    for position, entry in enumerate(group):
        first = group[position - position % most]
        yield entry if first is entry else replace(entry, copy_of=first.path)


def _digests(source: Source, entries: Sequence[Entry]) -> dict[str, bytes]:
    """The MD5 of each entry, by path, that may be the same as another; it tells equal from different, no more."""
    sizes = Counter(entry.size for entry in entries)
    alike = [entry for entry in entries if entry.problem is None and sizes[entry.size] > 1]
    found = {e.path: bytes.fromhex(e.etag) for e in alike if _is_hashed(e)}
    unread = sorted((e for e in alike if e.path not in found), key=_place)
    for entry, content in zip(unread, source.contents(unread), strict=True):
        with suppress(ImageError):
            found[entry.path] = hashlib.md5(content(), usedforsecurity=False).digest()
    return found


def _place(entry: Entry) -> tuple[str, int, int]:
    """Rows and members are read in the order in which they lie in their files."""
    return entry.key, entry.row or 0, entry.offset or 0


def _is_hashed(entry: Entry) -> bool:
    return entry.row is None and entry.offset is None and _MD5.fullmatch(entry.etag) is not None
