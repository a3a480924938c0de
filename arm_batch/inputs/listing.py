"""INPUT: finding its images, and telling what else is there."""

from __future__ import annotations

import stat as stat_bits
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from arm_batch.core.selection.selection import Selection
from arm_batch.errors import InputError, ObjectError
from arm_batch.inputs.columns import PassthroughColumns, clean
from arm_batch.inputs.folders import walk_folder
from arm_batch.inputs.kinds import LISTED, Found, Kind, kind_of
from arm_batch.inputs.manifests import TEXT_LISTS, list_entries, names_images
from arm_batch.inputs.paths import distinct_paths, suffix_of, told_suffixes
from arm_batch.inputs.sources import EXTENSIONS, Entry, Source, broken
from arm_batch.inputs.uris import Places
from arm_batch.storage.base import ObjectInfo, ObjectStore
from arm_batch.storage.local import LocalStore
from arm_batch.storage.open import open_store


@dataclass(frozen=True)
class Listing:
    """What an input holds.

    Attributes:
        entries: its images, sorted by path, each path once.
        skipped: what there is beside them, a line for each kind.
        passthrough: columns that it has for its images; None for none.
    """

    entries: list[Entry]
    skipped: tuple[str, ...] = ()
    passthrough: PassthroughColumns | None = None


@dataclass(frozen=True, kw_only=True)
class Input:
    """Where the images are, and which part of it was meant.

    Attributes:
        store: the folder or prefix.
        key: of the one file that was asked for; None for all of the store.
        places: where the images are that the file lists; None where it is no list.
        column: of images in Parquet files; None to find it.
    """

    store: ObjectStore
    key: str | None
    places: Places | None = None
    column: str | None = None

    @property
    def source(self) -> Source:
        """What reads its entries."""
        return Source(self.store if self.places is None else self.places, self.column)

    def listing(self, selection: Selection, reserved: Collection[str] = ()) -> Listing:
        """The images that are there now and that the patterns of `selection` let through.

        Args:
            selection: the patterns.
            reserved: columns that an output has already: those of the input that are called so get other names.

        Raises:
            InputError: the input is missing or holds no such image.
            StoreError: the store cannot be reached.
        """
        found = self._all()
        entries = [entry for entry in found.entries if selection.admits(entry.path, entry.size)]
        count = len(found.entries) - len(entries)
        if not entries:
            raise InputError(f"{self.store.url}: {selection.text} leaves none of {count:,} images")
        if self.key is not None and all(entry.problem is not None for entry in entries):
            # One file was named, and nothing in it is of use: better said at once than in rows.
            told = f"{entries[0].path}: {entries[0].problem}"
            raise InputError(f"{self.store.url}/{self.key} holds nothing that can be read; {told}")
        left = (f"{count:,} images by {selection.patterns}",) if count else ()
        passthrough = found.passthrough and replace(
            found.passthrough, table=clean(found.passthrough.table, reserved)
        )
        return Listing(entries, (*left, *found.skipped), passthrough)

    def _all(self) -> Listing:
        if self.key is None:
            return list_store(self.store, self.column)
        if self.places is not None:
            return _sorted(Found(*list_entries(self.store, self.key, self.places)))
        try:
            return _listing(self.store, [self.store.stat(self.key)], column=self.column)
        except (FileNotFoundError, PermissionError, ObjectError) as error:
            raise InputError(str(error)) from error


def open_input(url: str, endpoint_url: str | None = None, column: str | None = None) -> Input:
    """INPUT: a folder or prefix, one file that is or holds images, or one that lists them.

    Args:
        url: a path, ``file://`` or ``s3://`` URL.
        endpoint_url: of an S3-compatible server other than AWS.
        column: of images in Parquet files; None to find it.

    Raises:
        UsageError: the URL makes no sense.
        StoreError: the store cannot be reached.
    """
    name = url.rstrip("/").rpartition("/")[2]
    single = _open_file(url, endpoint_url, column) if kind_of(name) is not None or _is_text_list(name) else None
    return single or Input(store=open_store(url, endpoint_url), key=None, places=None, column=column)


def _open_file(url: str, endpoint_url: str | None, column: str | None) -> Input | None:
    """INPUT where it is one file; None where there is none of this name."""
    parent, separator, name = url.rstrip("/").rpartition("/")
    store = open_store(parent or "/", endpoint_url) if separator else open_store(".")
    try:
        info = store.stat(name)
    except (FileNotFoundError, PermissionError):
        # Folders may be called so too; what is wrong otherwise, the listing says.
        return None
    except ObjectError as error:
        raise InputError(str(error)) from error
    listed = _is_text_list(name) or (name.lower().endswith(".parquet") and names_images(store, info))
    return Input(store=store, key=name, places=Places(endpoint_url) if listed else None, column=column)


def list_store(store: ObjectStore, column: str | None = None) -> Listing:
    """All images in a store.

    What a file is, its extension tells. Image files are taken where there are any, else tar files, else Parquet
    files as a dataset of images. Names that start with a dot, and what is in folders so called, are left out.

    Raises:
        InputError: the input is missing or holds no image.
        StoreError: the store cannot be reached.
    """
    if not store.exists():
        raise InputError(f"{store.url} {_what_instead(store)}")
    if isinstance(store, LocalStore):
        walk = walk_folder(store.root, lambda key: kind_of(key) is not None)
        infos, hidden, links = walk.infos, walk.hidden, walk.links
        problems = [broken(path, path, reason) for path, reason in walk.problems]
    else:
        everything = list(store.list())
        infos = [info for info in everything if not info.key.startswith(".") and "/." not in info.key]
        hidden, links, problems = len(everything) - len(infos), [], []
    found = _listing(store, infos, problems, column)
    if not found.entries:
        extensions = ", ".join(sorted(EXTENSIONS))
        raise InputError(f"{store.url} holds no image: no {extensions}, no .tar and no .parquet file")
    told = (f"{hidden:,} files or folders whose names begin with a dot",) if hidden else ()
    return Listing(found.entries, (*found.skipped, *links, *told), found.passthrough)


def _listing(
    store: ObjectStore, infos: Iterable[ObjectInfo], problems: Sequence[Entry] = (), column: str | None = None
) -> Listing:
    by_kind: dict[Kind, list[ObjectInfo]] = {kind: [] for kind in LISTED}
    others: Counter[str] = Counter()
    for info in infos:
        kind = kind_of(info.key)
        if kind is None:
            others[suffix_of(info.key)] += 1
        else:
            by_kind[kind].append(info)
    taken = next((kind for kind, found in by_kind.items() if found), None)
    # Of a kind that is not taken, neither are the files that cannot be read; folders are of no kind.
    unread = [entry for entry in problems if kind_of(entry.path) in (None, taken)]
    found = Found([]) if taken is None else LISTED[taken](store, by_kind[taken], column)
    return _sorted(replace(found, skipped=(*_passed_over(by_kind, taken, others), *found.skipped)), unread)


def _passed_over(
    by_kind: Mapping[Kind, Sequence[ObjectInfo]], taken: Kind | None, others: Counter[str]
) -> Iterator[str]:
    for kind, infos in by_kind.items():
        if infos and kind != taken:
            yield f"{len(infos):,} {kind} files: where there are {taken} files, those are taken"
    if others:
        yield f"files: {told_suffixes(others)}"


def _sorted(found: Found, unread: Sequence[Entry] = ()) -> Listing:
    """By path, with entries that no file was opened for."""
    entries = [*found.entries, *unread]
    paths = distinct_paths(entry.path for entry in entries)
    named = (e if e.path == path else replace(e, path=path) for e, path in zip(entries, paths, strict=True))
    passthrough = None
    if found.table is not None:
        rows = dict(zip(paths, range(len(found.entries)), strict=False))
        passthrough = PassthroughColumns(found.table, rows)
    return Listing(sorted(named, key=lambda entry: entry.path), found.skipped, passthrough)


def _is_text_list(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in TEXT_LISTS


def _what_instead(store: ObjectStore) -> str:
    if not isinstance(store, LocalStore):
        return "does not exist or is empty"
    try:
        mode = Path(store.root).stat().st_mode
    except OSError:
        return "does not exist"
    return "is a file of no kind that is read" if stat_bits.S_ISREG(mode) else "is not a folder"
