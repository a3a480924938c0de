"""EXIF as cameras write it, and a reader of it, both apart from those of the package."""

from __future__ import annotations

import struct
from dataclasses import dataclass

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
EXIF, GPS, INTEROP, NOTE = 0x8769, 0x8825, 0xA005, 0x927C

Value = tuple[int, int, bytes]
"""Kind, count and bytes."""


def ascii(text: str) -> Value:
    return 2, len(text) + 1, text.encode() + b"\0"


def short(order: str, *values: int) -> Value:
    return 3, len(values), struct.pack(f"{order}{len(values)}H", *values)


def long(order: str, *values: int) -> Value:
    return 4, len(values), struct.pack(f"{order}{len(values)}I", *values)


def rational(order: str, *pairs: tuple[int, int]) -> Value:
    words = [word for pair in pairs for word in pair]
    return 5, len(pairs), struct.pack(f"{order}{len(words)}I", *words)


def undefined(data: bytes) -> Value:
    return 7, len(data), data


def directory(order: str, tags: dict[int, Value], start: int, base: int = 0, link: int = 0) -> bytes:
    """A directory at `start` with its values behind it; offsets count from `base`."""
    head = struct.pack(f"{order}H", len(tags))
    place = start + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    for tag, (kind, count, data) in sorted(tags.items()):
        if len(data) <= 4:
            field = data.ljust(4, b"\0")
        else:
            field = struct.pack(f"{order}I", place + len(values) - base)
            values += data + bytes(len(data) % 2)
        entries += struct.pack(f"{order}HHI", tag, kind, count) + field
    return head + entries + struct.pack(f"{order}I", link) + values


@dataclass(frozen=True)
class Maker:
    """How a maker writes its notes.

    Attributes:
        head: before the directory.
        base: what offsets count from: ``block``, or so many bytes from the start of the note.
        order: of bytes; empty for that of the block.
    """

    head: bytes
    base: int | str
    order: str = ""

    def note(self, order: str, tags: dict[int, Value], start: int) -> bytes:
        """A note that begins at `start` of the block."""
        order = self.order or order
        base = 0 if self.base == "block" else start + int(self.base)
        return self.head + directory(order, tags, start + len(self.head), base)

    def read(self, block: bytes, start: int, order: str) -> dict[int, Value]:
        """What a program that knows the maker sees."""
        base = 0 if self.base == "block" else start + int(self.base)
        tags, _ = read_directory(block, start + len(self.head), self.order or order, base)
        return tags


MAKERS = {
    "canon": Maker(b"", "block"),
    "dji": Maker(b"", "block"),
    "minolta": Maker(b"", "block"),
    "casio": Maker(b"QVC\0\0\0", "block", ">"),
    "nikon-1": Maker(b"Nikon\0\1\0", "block", "<"),
    "nikon-2": Maker(b"", "block"),
    "nikon-3-big": Maker(b"Nikon\0\2\x10\0\0MM\0*\0\0\0\x08", 10, ">"),
    "nikon-3-little": Maker(b"Nikon\0\2\x10\0\0II*\0\x08\0\0\0", 10, "<"),
    "olympus-old": Maker(b"OLYMP\0\1\0", "block"),
    "olympus-new": Maker(b"OLYMPUS\0II\3\0", 0, "<"),
    "om-system": Maker(b"OM SYSTEM\0\0\0II\4\0", 0, "<"),
    "panasonic": Maker(b"Panasonic\0\0\0", "block"),
    "leica": Maker(b"LEICA\0\0\0", "block"),
    "pentax-old": Maker(b"AOC\0\0\0", "block"),
    "pentax-new": Maker(b"PENTAX \0MM", 0, ">"),
    "fujifilm": Maker(b"FUJIFILM\x0c\0\0\0", 0, "<"),
    "sony": Maker(b"SONY DSC \0\0\0", "block"),
    "sanyo": Maker(b"SANYO\0\1\0", "block"),
    "ricoh": Maker(b"Ricoh\0\0\0", "block", ">"),
    "apple": Maker(b"Apple iOS\0\0\1MM", 0, ">"),
    "sigma": Maker(b"SIGMA\0\0\0\1\0", "block"),
}
"""As the documentation of exiftool tells of them."""


@dataclass(frozen=True)
class Block:
    """What goes into a block."""

    order: str
    main: dict[int, Value]
    details: dict[int, Value]
    place: dict[int, Value]
    interop: dict[int, Value]
    maker: Maker | None = None
    notes: dict[int, Value] | None = None
    thumbnail: bytes = b""

    def build(self) -> bytes:
        """Main directory, details with the note, the rest, and a thumbnail, as cameras have it."""
        order = self.order
        place = 8 + len(directory(order, self.main | dict.fromkeys((EXIF, GPS), long(order, 0)), 8))
        body, offsets = b"", {}
        for name, tags in ((INTEROP, self.interop), (GPS, self.place)):
            offsets[name] = place + len(body)
            body += directory(order, tags, offsets[name])
            body += bytes(len(body) % 2)
        offsets[EXIF] = place + len(body)
        details = self.details | {INTEROP: long(order, offsets[INTEROP])}
        if self.maker is not None:
            details[NOTE] = undefined(self._note(details, offsets[EXIF]))
        body += directory(order, details, offsets[EXIF])
        body += bytes(len(body) % 2)
        link = place + len(body) if self.thumbnail else 0
        if self.thumbnail:
            start = link + 2 + 12 * 2 + 4
            body += directory(order, {0x201: long(order, start), 0x202: long(order, len(self.thumbnail))}, link)
            body += self.thumbnail
        main = self.main | {EXIF: long(order, offsets[EXIF]), GPS: long(order, offsets[GPS])}
        head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
        return b"Exif\0\0" + head + directory(order, main, 8, link=link) + body

    def _note(self, details: dict[int, Value], start: int) -> bytes:
        """Where it lies depends on how long it is, and what is in it on where it lies."""
        assert self.maker is not None
        assert self.notes is not None
        size = len(self.maker.note(self.order, self.notes, 0))
        before = {tag: value for tag, value in details.items() if tag < NOTE}
        table = 2 + 12 * (len(details) + 1) + 4
        values = sum(len(data) + len(data) % 2 for _, _, data in before.values() if len(data) > 4)
        note = self.maker.note(self.order, self.notes, start + table + values)
        assert len(note) == size
        return note


def read_directory(block: bytes, start: int, order: str, base: int = 0) -> tuple[dict[int, Value], dict[int, int]]:
    """The values of a directory, and where they lie."""
    (count,) = struct.unpack_from(f"{order}H", block, start)
    tags, places = {}, {}
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values, offset = struct.unpack_from(f"{order}HHII", block, place)
        size = SIZES[kind] * values
        at = place + 8 if size <= 4 else offset + base
        tags[tag], places[tag] = (kind, values, block[at : at + size]), at
    return tags, places


@dataclass(frozen=True)
class Seen:
    """What a reader sees in a block, each value as bytes in its order."""

    order: str
    main: dict[int, Value]
    details: dict[int, Value]
    place: dict[int, Value]
    interop: dict[int, Value]
    tiff: bytes
    note_at: int | None

    @staticmethod
    def of(block: bytes) -> Seen:
        """Read a block, with ``Exif`` before it or not."""
        tiff = block.removeprefix(b"Exif\0\0")
        order = "<" if tiff[:2] == b"II" else ">"
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        main, _ = read_directory(tiff, first, order)
        inner: dict[int, dict[int, Value]] = {}
        note_at = None
        for name, outer in ((EXIF, main), (GPS, main)):
            inner[name] = {}
            if name in outer:
                (start,) = struct.unpack(f"{order}I", outer.pop(name)[2])
                inner[name], places = read_directory(tiff, start, order)
                note_at = places.get(NOTE, note_at) if name == EXIF else note_at
        interop: dict[int, Value] = {}
        if INTEROP in inner[EXIF]:
            (start,) = struct.unpack(f"{order}I", inner[EXIF].pop(INTEROP)[2])
            interop, _ = read_directory(tiff, start, order)
        return Seen(order, main, inner[EXIF], inner[GPS], interop, tiff, note_at)


def exif_in(data: bytes) -> bytes | None:
    """The block in a file, found by hand: JPEG, PNG, WebP, or AVIF as it comes from here; of TIFF the file."""
    if data[:4] in (b"II*\0", b"MM\0*"):
        return data
    if data[:2] == b"\xff\xd8":
        place = 2
        while data[place + 1] != 0xDA:
            (size,) = struct.unpack_from(">H", data, place + 2)
            if data[place + 1] == 0xE1 and data[place + 4 : place + 10] == b"Exif\0\0":
                return data[place + 4 : place + 2 + size]
            place += 2 + size
        return None
    if data[:4] == b"RIFF":
        place = 12
        while place < len(data):
            (size,) = struct.unpack_from("<I", data, place + 4)
            if data[place : place + 4] == b"EXIF":
                return data[place + 8 : place + 8 + size]
            place += 8 + size + size % 2
        return None
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        place = 8
        while place < len(data):
            (size,) = struct.unpack_from(">I", data, place)
            if data[place + 4 : place + 8] == b"eXIf":
                return data[place + 8 : place + 8 + size]
            place += 12 + size
        return None
    place = data.rfind(b"mdat")
    return data[data.index(b"Exif\0\0", place) :] if b"Exif\0\0" in data[place:] else None
