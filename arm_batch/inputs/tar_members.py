"""Images inside tar files, as WebDataset shards hold them: found by reading headers, read by their place.

Nothing is unpacked, so a member's name can do no harm: it is only where the image's path comes from.
"""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from arm_batch.errors import ObjectError
from arm_batch.inputs.paths import safe_path, shown, suffix_of, told_suffixes
from arm_batch.inputs.sources import Entry, broken, is_image
from arm_batch.inputs.tar_headers import LINKS, NO_DATA, DamageError, Member, NoEnd, Window, read_headers
from arm_batch.storage.base import ObjectInfo, ObjectStore
from arm_batch.storage.overlap import overlapped

SIDECARS = ("json", "txt", "cls")
"""Extensions of members that go along with the image of the same key, as columns of text."""

_LONGEST_TEXT = 1 << 16
"""Bytes of one of them."""


@dataclass(kw_only=True)
class Members:
    """What was found in a tar file.

    Attributes:
        entries: its images, in their order.
        keys: of each entry: its name up to the first dot, which it shares with its sidecars.
        texts: of the sidecars, by key and extension.
        others: further members, by extension.
        hidden: members whose names begin with a dot, or lie in folders so called.
        cut: whether the mark at its end is missing.
    """

    entries: list[Entry] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    cut: bool = False

    def table(self) -> pa.Table:
        """The texts of each entry, null where it has none."""
        return pa.table(
            {kind: pa.array([self.texts.get((key, kind)) for key in self.keys], pa.string()) for kind in SIDECARS}
        )


def list_members(store: ObjectStore, info: ObjectInfo) -> Members:
    """The images of a tar file, by reading its headers. What cannot be read is an entry with a problem.

    Raises:
        StoreError: the store cannot be reached.
    """
    window = Window(lambda start, length: store.fetch_range(info.key, info.etag, start, length), info.size)
    found = _Found(info, window)
    try:
        for member in read_headers(window):
            found.note(member)
    except (FileNotFoundError, PermissionError, ObjectError, DamageError) as error:
        found.add(broken(safe_path(info.key), info.key, _reason(error)), "")
    except NoEnd:
        found.members.cut = True
    return found.members


def list_tars(
    store: ObjectStore, infos: Sequence[ObjectInfo]
) -> tuple[list[Entry], tuple[str, ...], pa.Table | None]:
    """The images of several tar files, in their order.

    Returns:
        The entries; what else the files hold, a line for each kind; and the columns that go along with the images,
        if there are any.

    Raises:
        StoreError: the store cannot be reached.
    """
    entries: list[Entry] = []
    tables: list[pa.Table] = []
    others: Counter[str] = Counter()
    hidden = 0
    notes: list[str] = []
    for info, listed in zip(infos, overlapped(partial(list_members, store), infos), strict=True):
        found = listed()
        entries += found.entries
        tables.append(found.table())
        others += found.others
        hidden += found.hidden
        if found.cut:
            notes.append(f"{shown(info.key)} ends without the mark of an end: it may have been cut off there")
    if others:
        notes.append(f"in tar files: {told_suffixes(others)}")
    if hidden:
        notes.append(f"in tar files: {hidden:,} whose names begin with a dot")
    table = pa.concat_tables(tables)
    table = table.select([name for name in SIDECARS if table[name].null_count < len(table)])
    return entries, tuple(notes), table if table.num_columns else None


def _reason(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, ObjectError):
        return error.reason
    return str(error) if isinstance(error, DamageError) else "this tar file is gone or changed since it was listed"


class _Found:
    """Takes note of the members of a tar file, one after the other."""

    def __init__(self, info: ObjectInfo, window: Window) -> None:
        self.members = Members()
        self._info = info
        self._window = window
        # Of the images so far, for links to them.
        self._places: dict[str, tuple[int, int]] = {}

    def add(self, entry: Entry, key: str) -> None:
        """Take an image."""
        self.members.entries.append(entry)
        self.members.keys.append(key)

    def note(self, member: Member) -> None:
        """Take a member for what it is."""
        if member.kind == tarfile.DIRTYPE:
            return
        name = member.name
        while name.startswith("./"):
            name = name[2:].lstrip("/")
        folder, slash, last = name.rpartition("/")
        stem, _, extension = last.partition(".")
        key = f"{folder}{slash}{stem}"
        if any(part.startswith(".") and part not in (".", "..") for part in name.split("/")):
            self.members.hidden += 1
        elif is_image(name):
            self.add(self._entry(name, member), key)
        elif (text := self._text(extension.lower(), member)) is not None:
            self.members.texts[key, extension.lower()] = text
        else:
            self.members.others[suffix_of(name)] += 1

    def _entry(self, name: str, member: Member) -> Entry:
        path, key = safe_path(f"{self._info.key[: -len('.tar')]}/{safe_path(name)}"), self._info.key
        place = (member.offset, member.size)
        if member.kind == tarfile.LNKTYPE and member.target in self._places:
            place = self._places[member.target]
        elif member.kind in NO_DATA:
            told = "is a link inside its tar file" if member.kind in LINKS else "is not a regular file"
            return broken(path, key, told)
        elif member.sparse:
            return broken(path, key, "is stored as a sparse file, which is not supported")
        self._places[member.name] = place
        return Entry(path=path, key=key, row=None, size=place[1], etag=self._info.etag, offset=place[0])

    def _text(self, extension: str, member: Member) -> str | None:
        """Of a sidecar; None where it is none, or no text that would fit into a column."""
        plain = member.kind not in NO_DATA and not member.sparse and member.size <= _LONGEST_TEXT
        if extension not in SIDECARS or not plain:
            return None
        try:
            return self._window.read(member.offset, member.size).decode()
        except UnicodeDecodeError:
            return None
