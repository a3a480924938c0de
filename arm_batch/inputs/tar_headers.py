"""Reading the headers of a tar file one after the other, by ranges.

Unlike the standard library it says so where a file is damaged, takes no more memory than a name needs, and fetches
much at once where members are small.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

BLOCK = 512
"""Of a tar file: headers are one each, data is filled up to whole ones."""

_LONGEST_NAME = 1 << 20
"""Bytes of a header that holds a name or other attributes; more is no name."""

_PADDING_BLOCKS = 2048
"""Empty blocks after which nothing more is expected."""

LINKS = (tarfile.LNKTYPE, tarfile.SYMTYPE)
NO_DATA = (*LINKS, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)
_ATTRIBUTES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)


class DamageError(Exception):
    """What follows in the file cannot be found."""


class NoEnd(Exception):  # noqa: N818 - it is no error, only worth telling
    """The file ends with a whole member and without the mark of an end."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member of a tar file.

    Attributes:
        name: as it stands there, bytes that are not UTF-8 as surrogates.
        kind: one of `tarfile`'s types.
        offset: of its data, bytes.
        size: of its data, bytes.
        target: what a link leads to.
        sparse: whether its data are pieces of a file with holes.
    """

    name: str
    kind: bytes
    offset: int
    size: int
    target: str
    sparse: bool


class Window:
    """A view of a file that fetches more at once the longer it is read without a gap."""

    _LEAST, _MOST = 1 << 14, 1 << 20

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self.size = size
        self._fetch = fetch
        self._start = 0
        self._data = b""
        self._length = self._LEAST

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`, or what is left of them."""
        length = max(min(length, self.size - start), 0)
        end = self._start + len(self._data)
        if length and not self._start <= start <= start + length <= end:
            near = self._start <= start <= end + self._length
            self._length = min(2 * self._length, self._MOST) if near else self._LEAST
            self._start = start
            self._data = self._fetch(start, min(max(self._length, length), self.size - start))
        first = start - self._start
        return self._data[first : first + length]


def read_headers(window: Window) -> Iterator[Member]:
    """All members of a tar file, in their order.

    Raises:
        DamageError: after the members before the damage.
        NoEnd: after all members.
    """
    if not window.size:
        raise DamageError("this tar file is empty")
    position = empty = 0
    extra: dict[str, str] = {}
    while position < window.size and empty < _PADDING_BLOCKS:
        block = window.read(position, BLOCK)
        if not block.strip(b"\0"):
            # Files that were put one behind the other have such blocks between them.
            position, empty = position + BLOCK, empty + 1
            continue
        header = _header(block)
        if header is None:
            if empty:
                return
            raise DamageError(_damage(position))
        empty = 0
        if header.type in _ATTRIBUTES:
            extra |= _extra(header, _attributes(window, position + BLOCK, header.size))
            position += BLOCK + _filled(header.size)
            continue
        member = _member(window, block, header, extra, position)
        if header.type != tarfile.XGLTYPE:
            yield member
            extra = {}
        position = member.offset + _filled(_data_size(member))
    if not empty:
        raise NoEnd


def _header(block: bytes) -> tarfile.TarInfo | None:
    """What a block says where it is a header; None where it is none."""
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None


def _member(
    window: Window, block: bytes, header: tarfile.TarInfo, extra: Mapping[str, str], position: int
) -> Member:
    """A member whose data is all there, by the header at `position` and by what those before it say of it."""
    start = position + BLOCK
    if header.type == tarfile.GNUTYPE_SPARSE:
        start = _after_map(window, block, start)
    member = _described(header, extra, start, _size(header, extra, position))
    if start + _data_size(member) > window.size:
        raise DamageError(f"this tar file is cut off within {member.name.rpartition('/')[2]!a}")
    return member


def _data_size(member: Member) -> int:
    """Bytes of the file that its data take."""
    return 0 if member.kind in NO_DATA else member.size


def _described(header: tarfile.TarInfo, extra: Mapping[str, str], start: int, size: int) -> Member:
    sparse = header.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse.") for key in extra)
    name = extra.get("GNU.sparse.name", extra.get("path", header.name))
    return Member(
        name=name,
        kind=header.type,
        offset=start,
        size=size,
        target=extra.get("linkpath", header.linkname),
        sparse=sparse,
    )


def _attributes(window: Window, start: int, size: int) -> bytes:
    if not 0 <= size <= _LONGEST_NAME or start + size > window.size:
        raise DamageError(_damage(start - BLOCK))
    return window.read(start, size)


def _extra(header: tarfile.TarInfo, data: bytes) -> dict[str, str]:
    """What a header says of the member that follows."""
    if header.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": _text(data.partition(b"\0")[0])}
    if header.type == tarfile.GNUTYPE_LONGLINK:
        return {"linkpath": _text(data.partition(b"\0")[0])}
    found = {}
    while data.strip(b"\0"):
        digits, _, _ = data.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 8 else 0
        key, separator, value = data[len(digits) + 1 : length - 1].partition(b"=")
        if not separator or data[length - 1 : length] != b"\n":
            raise DamageError("this tar file has attributes that cannot be read")
        found[_text(key)] = _text(value)
        data = data[length:]
    return found


def _size(header: tarfile.TarInfo, extra: Mapping[str, str], position: int) -> int:
    size = extra.get("size", str(header.size))
    if not (size.isascii() and size.isdigit() and len(size) < 20):
        raise DamageError(_damage(position))
    return int(size)


def _after_map(window: Window, block: bytes, start: int) -> int:
    """Where the data of a sparse file begins: its map goes on in further blocks as long as each says so."""
    goes_on = block[482]
    while goes_on:
        block = window.read(start, BLOCK)
        if len(block) < BLOCK:
            raise DamageError(_damage(start))
        goes_on, start = block[504], start + BLOCK
    return start


def _filled(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _damage(position: int) -> str:
    if not position:
        return "is not a tar file"
    return f"this tar file is damaged at byte {position:,}; what follows is not found"
