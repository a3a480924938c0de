"""Texts that lie in a file beside EXIF and XMP: those of PNG, and comments of JPEG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
COMMENT = b"COM"

_KINDS = {"png": frozenset(PNG_TEXTS), "jpeg": frozenset((COMMENT,))}
"""Of texts that a format holds."""

_NOT_OURS = (b"exif:", b"tiff:", b"png:", b"Thumb::")
"""What names of texts begin with that repeat what the file itself says, of its size above all, or that tell of
another file."""

_LONGEST_NAME = 79
_TOLD = 5
"""Names in a note."""


class Text(NamedTuple):
    """One of them.

    Attributes:
        kind: of a chunk of PNG, or `COMMENT`.
        body: as it lies in the file; of PNG a name, a zero and the rest.
    """

    kind: bytes
    body: bytes

    @property
    def name(self) -> str:
        """What it is called."""
        return "comment" if self.kind == COMMENT else self.body.partition(b"\0")[0].decode("latin-1")


def is_kept(text: Text) -> bool:
    """Whether a text of PNG still holds for another file, and has a name that there may be."""
    name = text.name
    if not (0 < len(name) <= _LONGEST_NAME and name.isprintable()):
        return False
    return not text.body.startswith(_NOT_OURS)


def fitting(texts: Iterable[Text], format: str) -> tuple[Text, ...]:
    """Those that a file of a format, a key of `FORMATS`, can hold."""
    return tuple(text for text in texts if text.kind in _KINDS.get(format, ()))


def note_of_lost(texts: Sequence[Text], format: str) -> str | None:
    """What is to be said of those that it cannot hold; None where there are none."""
    lost = [text.name for text in texts if text not in fitting(texts, format)]
    if not lost:
        return None
    names = list(dict.fromkeys(lost))
    more = f" and {len(names) - _TOLD:,} more" if len(names) > _TOLD else ""
    return f"texts in it are left out, as {format} does not hold them: {', '.join(names[:_TOLD])}{more}"
