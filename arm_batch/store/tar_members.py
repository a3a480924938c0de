"""Images inside tar files, as WebDataset shards hold them: found by reading headers, read by their place.

Nothing is unpacked, so a member's name can do no harm: it is only where the image's path comes from.
"""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from arm_batch.store.objects import ObjectInfo, ObjectStore
from arm_batch.store.paths import safe_path, shown, suffix_of, told_suffixes
from arm_batch.store.sources import Entry, broken, is_image
from arm_batch.store.tar_headers import LINKS, NO_DATA, DamageError, Member, NoEnd, Window, read_headers

_READ_AT_ONCE = 16
"""Tar files; over S3 each waits for the network."""


@dataclass
class Members:
    """What was found in a tar file.

    Attributes:
        entries: its images, in their order.
        others: members that are no images, by extension.
        hidden: members whose names begin with a dot, or lie in folders so called.
        cut: whether the mark at its end is missing.
    """

    entries: list[Entry] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    cut: bool = False


def list_members(store: ObjectStore, info: ObjectInfo) -> Members:
    """The images of a tar file, by reading its headers. What cannot be read is an entry with a problem.

    Raises:
        StoreError: the store cannot be reached.
    """
    found = Members()
    places: dict[str, tuple[int, int]] = {}
    try:
        for member in read_headers(Window(lambda a, n: store.fetch_range(info.key, info.etag, a, n), info.size)):
            _note(found, places, info, member)
    except (FileNotFoundError, PermissionError, DamageError) as error:
        found.entries.append(broken(safe_path(info.key), info.key, _reason(error)))
    except NoEnd:
        found.cut = True
    return found


def list_tars(store: ObjectStore, infos: Sequence[ObjectInfo]) -> tuple[list[Entry], tuple[str, ...]]:
    """The images of several tar files, in their order; and what else they hold, a line for each kind.

    Raises:
        StoreError: the store cannot be reached.
    """
    entries: list[Entry] = []
    others: Counter[str] = Counter()
    hidden = 0
    notes: list[str] = []
    with ThreadPoolExecutor(_READ_AT_ONCE) as threads:
        for info, found in zip(infos, threads.map(lambda info: list_members(store, info), infos), strict=True):
            entries += found.entries
            others += found.others
            hidden += found.hidden
            if found.cut:
                notes.append(f"{shown(info.key)} ends without the mark of an end: it may have been cut off there")
    if others:
        notes.append(f"in tar files: {told_suffixes(others)}")
    if hidden:
        notes.append(f"in tar files: {hidden:,} whose names begin with a dot")
    return entries, tuple(notes)


def _reason(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "permission denied"
    return str(error) if isinstance(error, DamageError) else "this tar file is gone or changed since it was listed"


def _note(found: Members, places: dict[str, tuple[int, int]], info: ObjectInfo, member: Member) -> None:
    """Add a member to what was found; `places` holds the images so far, for links to them."""
    if member.kind == tarfile.DIRTYPE:
        return
    name = member.name
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    if any(part.startswith(".") and part not in (".", "..") for part in name.split("/")):
        found.hidden += 1
        return
    if not is_image(name):
        found.others[suffix_of(name)] += 1
        return
    path = safe_path(f"{info.key[: -len('.tar')]}/{safe_path(name)}")
    place = (member.offset, member.size)
    if member.kind == tarfile.LNKTYPE and member.target in places:
        place = places[member.target]
    elif member.kind in NO_DATA:
        told = "is a link inside its tar file" if member.kind in LINKS else "is not a regular file"
        found.entries.append(broken(path, info.key, told))
        return
    elif member.sparse:
        found.entries.append(broken(path, info.key, "is stored as a sparse file, which is not supported"))
        return
    places[member.name] = place
    found.entries.append(Entry(path, info.key, None, place[1], info.etag, place[0]))
