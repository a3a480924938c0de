"""Writing EXIF: what must stay stays at its offset, all else lies around it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from arm_batch.metadata.exif.reading import PREFIX
from arm_batch.metadata.exif.tags import DETAILS, LONG, LONG8, MAKER_NOTE, Entry, Exif, Order, Tags

_HEADER = 8


class Room:
    """Finds places for pieces, each at an even offset.

    Args:
        start: the first offset that is free.
        taken: ranges that are not.
    """

    def __init__(self, start: int, taken: Iterable[tuple[int, int]] = ()) -> None:
        self._start = start
        self._taken = sorted(taken)

    def take(self, size: int) -> int:
        """The first place with so many bytes, which is no longer free then."""
        place = self._start + self._start % 2
        for first, last in self._taken:
            if place + size <= first:
                break
            place = max(place, last + last % 2)
        self._taken = sorted([*self._taken, (place, place + size)])
        return place


class Layout:
    """Where tags and their values come to lie.

    Args:
        order: of bytes, the values' own.
        big: whether for BigTIFF.
        room: for them.

    Attributes:
        pieces: what is to be written, by offset.
    """

    def __init__(self, order: Order, big: bool, room: Room) -> None:
        self._order, self._room = order, room
        self._pointer, self._count, self._kind = ("Q", "Q", LONG8) if big else ("I", "H", LONG)
        self._entry = f"HH2{self._pointer}"
        self.pieces: list[tuple[int, bytes]] = []

    def directory(self, tags: Tags, more: Mapping[int, bytes] | None = None) -> int:
        """Where a directory lies; it, and all that it points to, is among the pieces.

        Args:
            tags: of it.
            more: further entries as they stand, by tag; those of `tags` take their place.
        """
        entries = dict(more or {})
        count = len(entries.keys() | tags.keys())
        head = struct.pack(self._order + self._count, count)
        end = bytes(struct.calcsize(self._pointer))
        place = self._room.take(len(head) + count * struct.calcsize(self._order + self._entry) + len(end))
        entries |= {tag: self._entry_of(tag, value) for tag, value in sorted(tags.items())}
        self.pieces.append((place, head + b"".join(entry for _, entry in sorted(entries.items())) + end))
        return place

    def _entry_of(self, tag: int, value: Entry | Tags) -> bytes:
        size = struct.calcsize(self._pointer)
        if isinstance(value, dict):
            return self._packed(
                tag, self._kind, 1, struct.pack(self._order + self._pointer, self.directory(value))
            )
        if len(value.data) <= size:
            return self._packed(tag, value.kind, value.count, value.data.ljust(size, b"\0"))
        offset = self._room.take(len(value.data)) if value.at is None else value.at
        self.pieces.append((offset, value.data))
        return self._packed(tag, value.kind, value.count, struct.pack(self._order + self._pointer, offset))

    def _packed(self, tag: int, kind: int, count: int, value: bytes) -> bytes:
        return struct.pack(f"{self._order}HH{self._pointer}", tag, kind, count) + value


def serialise(exif: Exif) -> bytes:
    """A block as JPEG holds it, from ``Exif`` on; empty where there are no tags."""
    if not exif.tags:
        return b""
    taken = [(start, start + len(data)) for start, data in exif.pins]
    note = exif.entry(DETAILS, MAKER_NOTE)
    if note is not None and note.at is not None:
        taken.append((note.at, note.at + len(note.data)))
    layout = Layout(exif.order, False, Room(_HEADER, taken))
    layout.pieces.extend(exif.pins)
    first = layout.directory(exif.tags)
    block = bytearray(max(offset + len(data) for offset, data in layout.pieces))
    for offset, data in layout.pieces:
        block[offset : offset + len(data)] = data
    mark = b"II*\0" if exif.order == "<" else b"MM\0*"
    block[:_HEADER] = mark + struct.pack(f"{exif.order}I", first)
    return PREFIX + bytes(block)
