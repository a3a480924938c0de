"""Why a file cannot be read, in words that tell its owner something: what kind of file, and what is wrong with it.

Decoders trip over damage in many ways. Some say what they found; others raise what Python raises when a number is
too large or a name is missing, which says something of their code alone.
"""

from __future__ import annotations

import re
import struct
import zlib

from arm_batch.images.vips import VipsError

_HEADER = "what its header says does not fit together"
_DATA = "its data is damaged"

_BY_TYPE: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((OverflowError,), "a size in it is far too large"),
    ((zlib.error,), "its compressed data is damaged"),
    ((EOFError,), "it ends too early"),
    (
        (UnicodeError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError, struct.error),
        _HEADER,
    ),
    ((RecursionError,), _HEADER),
)

_BY_TEXT = (
    (re.compile(r"(broken|unrecognized) data stream( contents)? when reading image file"), _DATA),
    (re.compile(r"cannot identify image file .*"), "its header is broken"),
    (re.compile(r".*(unpack|Python int|invalid literal|could not convert|shift count|byte must be).*"), _HEADER),
    (re.compile(r"(decoder )?(error )?-?\d*"), _DATA),
)

_NAMES = {"jp2": "JPEG 2000", "webp": "WebP"}


def reading_failed(error: Exception, format: str | None = None) -> str:
    """The reason of a failed row, from what a decoder raised.

    Args:
        error: of the decoder.
        format: of the file, as `sniff` calls it; ``None`` where it is not at hand.
    """
    kind = "" if format is None else f" as {_name(format)}"
    return f"cannot be decoded{kind}: {what_is_wrong(error)}"


def writing_failed(error: Exception, format: str) -> str:
    """The same for an encoder."""
    internal = any(isinstance(error, types) for types, _ in _BY_TYPE)
    told = "" if internal else _told(error)
    return f"cannot be written as {format}: {told or 'its size or metadata does not fit that format'}"


def what_is_wrong(error: Exception) -> str:
    """What an error of a decoder says of a file, short and each thing once."""
    for types, words in _BY_TYPE:
        if isinstance(error, types):
            return words
    told = _told(error)
    return next((words for pattern, words in _BY_TEXT if pattern.fullmatch(told)), told)


def _told(error: Exception) -> str:
    """At most 200 characters in one line, each line of the message once."""
    # libvips says in `message` which of its functions it was, and nothing more in `detail` at times.
    text = error.detail if isinstance(error, VipsError) else str(error)
    return " ".join(dict.fromkeys(" ".join(line.split()) for line in text.splitlines()))[:200].strip()


def _name(format: str) -> str:
    plain = format.removesuffix("-lossless")
    return _NAMES.get(plain, plain.upper())
