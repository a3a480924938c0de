"""One image of the input, and how it is read."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from arm_batch.core.stop import Stop
from arm_batch.errors import ImageError, ObjectError
from arm_batch.inputs.parquet import read_row
from arm_batch.storage.base import ObjectInfo, Readable
from arm_batch.storage.overlap import BYTES_AHEAD, overlapped
from arm_batch.storage.s3.responses import RangeReader

EXTENSIONS = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".gif"),
        *(".avif", ".heic", ".heif", ".jp2", ".j2k", ".jpf", ".jpx"),
    }
)
"""Of image files, in lower case."""

_READ_AT_ONCE = 64 << 20
"""Bytes: larger files are read as far as they are needed, so that what they hold need not fit into memory."""

_BUFFER = 1 << 20
"""Bytes fetched at least of a large member of a tar file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One image of the input.

    Attributes:
        path: relative and unique in the input, ``/``-separated; never leaves its root.
        key: of the object that holds it.
        row: within a Parquet file; None for anything else.
        size: bytes; -1 where it is not known before it is read.
        etag: of the object when it was listed; empty where there was none to be read.
        offset: of its first byte within a tar file; None for anything else.
        problem: why it cannot be read, where that was plain when it was listed.
        copy_of: path of the entry of the same bytes whose result it shares; None for most.
    """

    path: str
    key: str
    row: int | None
    size: int
    etag: str
    offset: int | None = None
    problem: str | None = None
    copy_of: str | None = None


@dataclass(frozen=True)
class Source:
    """Reads entries; small, and travels to workers.

    Attributes:
        store: where the keys of entries are.
        column: of images in Parquet files; None to find it.
    """

    store: Readable
    column: str | None = None

    def open(self, entry: Entry) -> BinaryIO:
        """A seekable stream over an image as it was when it was listed; small ones are read at once.

        Raises:
            ImageError, StoreError: as `read`. Reading the stream raises what a store does: see `of_one_image`.
        """
        if entry.problem is not None or entry.row is not None or entry.size <= _READ_AT_ONCE:
            # Rows of Parquet files too, of which a reader has the whole anyway.
            return io.BytesIO(self.read(entry))
        if entry.offset is not None:
            fetch = partial(self._range, entry, entry.offset)
            return cast(BinaryIO, io.BufferedReader(RangeReader(fetch, entry.size), _BUFFER))
        with of_one_image("is gone or changed since it was listed"):
            return self.store.open(ObjectInfo(entry.key, entry.size, entry.etag))

    def opened(self, entries: Iterable[Entry], stop: Stop) -> Iterator[Callable[[], BinaryIO]]:
        """`open` for each entry, ahead of the caller; see `overlapped`."""
        return overlapped(self.open, entries, _bytes_opened, stop)

    def contents(self, entries: Iterable[Entry]) -> Iterator[Callable[[], bytes]]:
        """`read` for each entry, ahead of the caller; see `overlapped`."""
        return overlapped(self.read, entries, _bytes_read)

    def read(self, entry: Entry) -> bytes:
        """The bytes of an image as they were when they were listed.

        Raises:
            ImageError: the image is gone, forbidden, of no use, empty in its row, or changed since.
            StoreError: the store cannot be reached.
        """
        if entry.problem is not None:
            raise ImageError(entry.problem)
        with of_one_image("is gone or changed since it was listed"):
            if entry.row is not None:
                return read_row(self.store, entry.key, entry.etag, entry.row, self.column)
            if entry.offset is not None:
                return self._member(entry, entry.offset)
            data, info = self.store.fetch(entry.key)
        if info.etag != entry.etag or len(data) != entry.size:
            raise ImageError("changed since it was listed")
        return data

    def is_unchanged(self, entry: Entry) -> bool:
        """Whether an image can be had as it was when it was listed, as far as that shows without reading it.

        Raises:
            StoreError: the store cannot be reached.
        """
        try:
            return entry.problem is None and self.store.stat(entry.key).etag == entry.etag
        except (FileNotFoundError, PermissionError, ObjectError):
            return False

    def _member(self, entry: Entry, offset: int) -> bytes:
        return self._range(entry, offset, 0, entry.size) if entry.size else b""

    def _range(self, entry: Entry, offset: int, start: int, length: int) -> bytes:
        return self.store.fetch_range(entry.key, entry.etag, offset + start, length)


def _bytes_read(entry: Entry) -> int:
    """Of a row nobody knows how many: all that may be, so that rows are read in order, which is cheapest."""
    if entry.row is not None:
        return BYTES_AHEAD
    return max(entry.size, 0)


def _bytes_opened(entry: Entry) -> int:
    return _bytes_read(entry) if entry.size <= _READ_AT_ONCE else _BUFFER


@contextmanager
def of_one_image(gone: str) -> Iterator[None]:
    """What a store raises about one object in the block becomes an `ImageError`; `gone` where it is not there."""
    try:
        yield
    except FileNotFoundError:
        raise ImageError(gone) from None
    except PermissionError:
        raise ImageError("permission denied") from None
    except ObjectError as error:
        raise ImageError(error.reason) from None


def is_image(key: str) -> bool:
    """Whether a key is called like an image file."""
    return PurePosixPath(key).suffix.lower() in EXTENSIONS


def broken(path: str, key: str, problem: str) -> Entry:
    """An entry of which it is known beforehand that it cannot be read."""
    return Entry(path=path, key=key, row=None, size=-1, etag="", offset=None, problem=problem)
