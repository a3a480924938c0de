"""A TIFF file seen through another directory than its first: what it holds stays where it is."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from arm_batch.errors import ImageError
from arm_batch.metadata.metadata import is_big

SHORT, LONG = 3, 4

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value, by type."""

_CODES = {SHORT: "H", LONG: "I"}


@dataclass(frozen=True)
class Layout:
    """How directories of a file are written.

    Attributes:
        order: of bytes, as `struct` spells it.
        big: whether it is BigTIFF.
    """

    order: str
    big: bool

    @staticmethod
    def of(header: bytes) -> Layout:
        """Of a file that begins so."""
        return Layout(">" if header[:1] == b"M" else "<", is_big(header))

    @property
    def pointer(self) -> str:
        """Where something lies."""
        return self.order + ("Q" if self.big else "I")

    @property
    def first(self) -> int:
        """Where a file says where its first directory is."""
        return 8 if self.big else 4

    @property
    def entry(self) -> str:
        """Tag, type, count, and the values or where they lie."""
        return self.order + ("HHQ8s" if self.big else "HHI4s")


@dataclass(frozen=True)
class Entry:
    """One tag as it stands in a directory.

    Attributes:
        kind: type of its values.
        count: how many.
        value: they themselves, filled up, or where in the file they lie.
    """

    kind: int
    count: int
    value: bytes


@dataclass(frozen=True)
class Patch:
    """What makes a file begin with other directories than it does.

    Attributes:
        head: takes the place of as many of its first bytes.
        end: its length.
        tail: follows behind.
    """

    head: bytes
    end: int
    tail: bytes = b""

    def of(self, data: bytes) -> bytes:
        """The file so patched."""
        return b"".join([self.head, memoryview(data)[len(self.head) :], self.tail])

    def over(self, stream: BinaryIO) -> BinaryIO:
        """The same for a file that need not fit into memory."""
        return io.BufferedReader(_Patched(self, stream))


def layout_of(stream: BinaryIO) -> Layout:
    """Of a file."""
    stream.seek(0)
    return Layout.of(stream.read(16))


def read_entries(stream: BinaryIO, offset: int) -> dict[int, Entry]:
    """The directory that begins there; `ImageError` where it is cut off."""
    layout = layout_of(stream)
    stream.seek(offset)
    try:
        (count,) = struct.unpack(layout.order + ("Q" if layout.big else "H"), stream.read(8 if layout.big else 2))
        size = struct.calcsize(layout.entry)
        block = stream.read(size * count)
        found = (struct.unpack_from(layout.entry, block, size * number) for number in range(count))
        return {tag: Entry(kind, n, value) for tag, kind, n, value in found}
    except struct.error:
        raise ImageError("cannot be decoded: its tags are broken") from None


def numbers(layout: Layout, *values: int) -> Entry:
    """A tag of so few small numbers that they stand in the directory itself."""
    kind = SHORT if all(value < 1 << 16 for value in values) else LONG
    packed = struct.pack(f"{layout.order}{len(values)}{_CODES[kind]}", *values)
    return Entry(kind, len(values), packed.ljust(struct.calcsize(layout.pointer), b"\0"))


def part_of(stream: BinaryIO, layout: Layout, entry: Entry, start: int, stop: int) -> Entry:
    """A tag of only these values of another; `ImageError` where there are none."""
    if entry.kind not in _SIZES or stop > entry.count:
        raise ImageError("cannot be decoded: its tags are broken")
    size, room = _SIZES[entry.kind], struct.calcsize(layout.pointer)
    first, length = size * start, size * (stop - start)
    if size * entry.count <= room:
        return Entry(entry.kind, stop - start, entry.value[first : first + length].ljust(room, b"\0"))
    (place,) = struct.unpack(layout.pointer, entry.value)
    if length > room:
        return Entry(entry.kind, stop - start, struct.pack(layout.pointer, place + first))
    stream.seek(place + first)
    return Entry(entry.kind, stop - start, stream.read(length).ljust(room, b"\0"))


def with_first(stream: BinaryIO, offset: int) -> Patch:
    """Begins with the directory that lies there."""
    stream.seek(0)
    head = stream.read(16)
    layout = Layout.of(head)
    head = head[: layout.first] + struct.pack(layout.pointer, offset)
    return Patch(head, stream.seek(0, io.SEEK_END))


def with_directories(stream: BinaryIO, directories: Sequence[Mapping[int, Entry]]) -> Patch:
    """Has these directories and no others."""
    end = stream.seek(0, io.SEEK_END)
    patch = with_first(stream, end + end % 2)
    layout = Layout.of(patch.head)
    tail = bytearray(end % 2)
    for number, directory in enumerate(directories):
        tail += struct.pack(layout.order + ("Q" if layout.big else "H"), len(directory))
        for tag, entry in sorted(directory.items()):
            tail += struct.pack(layout.entry, tag, entry.kind, entry.count, entry.value)
        following = end + len(tail) + struct.calcsize(layout.pointer)
        last = number == len(directories) - 1
        gap = 0 if last else following % 2
        tail += struct.pack(layout.pointer, 0 if last else following + gap) + bytes(gap)
    return Patch(patch.head, end, bytes(tail))


class _Patched(io.RawIOBase):
    """A stream with another beginning and something behind its end."""

    def __init__(self, patch: Patch, stream: BinaryIO) -> None:
        super().__init__()
        self._patch, self._stream, self._place = patch, stream, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        length = self._patch.end + len(self._patch.tail)
        self._place = offset + (0, self._place, length)[whence]
        return self._place

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        patch, place = self._patch, self._place
        if place < len(patch.head):
            data = patch.head[place : place + len(view)]
        elif place < patch.end:
            self._stream.seek(place)
            data = self._stream.read(min(len(view), patch.end - place))
        else:
            data = patch.tail[place - patch.end :][: len(view)]
        view[: len(data)] = data
        self._place += len(data)
        return len(data)
