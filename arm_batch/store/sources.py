"""What there is to upscale: image files, or the rows of Parquet files that hold image bytes."""

from __future__ import annotations

import stat as stat_bits
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from arm_batch.errors import ImageError, InputError
from arm_batch.store.local import LocalStore
from arm_batch.store.objects import ObjectInfo, ObjectStore, open_store
from arm_batch.store.parquet import parquet_names, read_row

EXTENSIONS = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".gif"),
        *(".avif", ".heic", ".heif", ".jp2", ".j2k", ".jpf", ".jpx"),
    }
)
"""Of image files, in lower case."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of the input.

    Attributes:
        path: relative and unique in the input, ``/``-separated; never leaves its root.
        key: of the object that holds it.
        row: within a Parquet file; None for an image file.
        size: bytes; -1 for a row, whose size is not known before it is read.
        etag: of the object when it was listed.
    """

    path: str
    key: str
    row: int | None
    size: int
    etag: str


@dataclass(frozen=True)
class Source:
    """Reads entries; small, and travels to workers.

    Attributes:
        store: where the input is.
    """

    store: ObjectStore

    def read(self, entry: Entry) -> bytes:
        """The bytes of an image as they were when they were listed.

        Raises:
            ImageError: the image is gone, forbidden, empty in its row, or changed since.
            StoreError: the store cannot be reached.
        """
        try:
            if entry.row is not None:
                return read_row(self.store, entry.key, entry.etag, entry.row)
            data, info = self.store.fetch(entry.key)
        except FileNotFoundError:
            raise ImageError("is gone or changed since it was listed") from None
        except PermissionError:
            raise ImageError("permission denied") from None
        if info.etag != entry.etag or len(data) != entry.size:
            raise ImageError("changed since it was listed")
        return data


@dataclass(frozen=True)
class Input:
    """Where the images are, and which part of it was meant.

    Attributes:
        store: the folder or prefix.
        key: of the one image or Parquet file that was asked for; None for all of the store.
    """

    store: ObjectStore
    key: str | None

    def entries(self) -> list[Entry]:
        """The images that are there now, sorted by path.

        Raises:
            InputError: the input is missing or holds no image.
            StoreError: the store cannot be reached.
        """
        if self.key is None:
            return list_entries(self.store)
        try:
            return _entries(self.store, [self.store.stat(self.key)])
        except (FileNotFoundError, PermissionError) as error:
            raise InputError(str(error)) from error


def open_input(url: str, endpoint_url: str | None = None) -> Input:
    """INPUT: a folder or prefix, one image file, or one Parquet file.

    Args:
        url: a path, ``file://`` or ``s3://`` URL.
        endpoint_url: of an S3-compatible server other than AWS.

    Raises:
        UsageError: the URL makes no sense.
        StoreError: the store cannot be reached.
    """
    parent, separator, name = url.rstrip("/").rpartition("/")
    if _is_image(name) or name.lower().endswith(".parquet"):
        single = (
            open_store(parent if parent or not separator else "/", endpoint_url) if separator else open_store(".")
        )
        try:
            single.stat(name)
        except (FileNotFoundError, PermissionError):
            # Folders may be called so too; what is wrong otherwise, the listing says.
            pass
        else:
            return Input(single, name)
    return Input(open_store(url, endpoint_url), None)


def list_entries(store: ObjectStore) -> list[Entry]:
    """All images in a store, sorted by path.

    Images are told by their file's extension. Only where there is none of them are Parquet files read as a
    dataset of images. Names that start with a dot, and what is in folders so called, are left out.

    Raises:
        InputError: the input is missing or holds no image.
        StoreError: the store cannot be reached.
    """
    if not store.exists():
        raise InputError(f"{store.url} {_what_instead(store)}")
    entries = _entries(store, (i for i in store.list() if not i.key.startswith(".") and "/." not in i.key))
    if not entries:
        raise InputError(f"{store.url} holds no image: no {', '.join(sorted(EXTENSIONS))} and no .parquet file")
    return entries


def _entries(store: ObjectStore, infos: Iterable[ObjectInfo]) -> list[Entry]:
    images: list[Entry] = []
    parquets: list[ObjectInfo] = []
    for info in infos:
        if _is_image(info.key):
            images.append(Entry(info.key, info.key, None, info.size, info.etag))
        elif info.key.lower().endswith(".parquet"):
            parquets.append(info)
    if not images:
        images = list(_rows(store, parquets))
    return sorted(images, key=lambda entry: entry.path)


def _rows(store: ObjectStore, infos: list[ObjectInfo]) -> Iterator[Entry]:
    names = parquet_names(store, infos)
    for info, paths in zip(infos, names, strict=True):
        for row, path in enumerate(paths):
            yield Entry(path, info.key, row, -1, info.etag)


def _is_image(key: str) -> bool:
    return PurePosixPath(key).suffix.lower() in EXTENSIONS


def _what_instead(store: ObjectStore) -> str:
    if not isinstance(store, LocalStore):
        return "does not exist or is empty"
    try:
        mode = Path(store.root).stat().st_mode
    except OSError:
        return "does not exist"
    kind = "a file that is neither an image nor Parquet" if stat_bits.S_ISREG(mode) else "not a folder"
    return f"is {kind}"
