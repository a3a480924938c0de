"""Records as JSON: every document that a run, a pool or a ladder keeps is of a type, and is read strictly by it.

A document is refused where it is not exactly what its type says: a name twice, missing or unknown, a value of
another kind or out of range, a number that is not finite or longer than any that is written. The error names the
document, the place in it, what was expected there, and what to do.

Each says its `format`, and has a `checksum` of all its values, so that one that has become another is noticed.
What was written before there were formats has neither, and is read as format 1.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec

from arm_batch.errors import ArmBatchError, NewerError

_MOST_DIGITS = 40
"""Of a whole number: FLOPs go beyond 64 bits, but not there."""

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Index = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
Cost = Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
"""FLOPs of one tile: sums over an archive stay exact."""
Amount = Annotated[float, msgspec.Meta(ge=0)]
_HEX = r"^[0-9a-f]{64}\Z"
_NAME = r"^[A-Za-z0-9_.-]{1,255}\Z"
Sha256 = Annotated[str, msgspec.Meta(pattern=_HEX)]
Name = Annotated[str, msgspec.Meta(pattern=_NAME)]
"""An id, or a part of a key."""
_PATTERNS = {_HEX: "64 hex digits", _NAME: "a name of letters, digits, '_', '.' and '-'"}
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
"""Of an object; `is_safe_key` says more."""


_FORMAT, _CHECKSUM = "format", "checksum"
"""Names in a document beside those of its record."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a document holds. A part of one needs none of the attributes.

    Attributes:
        what: such a document is, for messages: ``a commit record``.
        remedy: what a user can do about a damaged one, as the end of a sentence.
        format: that it is written in; goes up with any change of its type.
        by_hand: whether a person may write or change one, so that it has no checksum.
    """

    what: ClassVar[str]
    remedy: ClassVar[str]
    format: ClassVar[int]
    by_hand: ClassVar[bool] = False

    def check(self) -> None:
        """Look at what no single value shows.

        Raises:
            ValueError: its values do not fit together; says which.
        """


AnyRecord = TypeVar("AnyRecord", bound=Record)
Anything = TypeVar("Anything")


def decode_record(data: bytes, kind: type[AnyRecord], where: str, error: type[ArmBatchError]) -> AnyRecord:
    """Read a document.

    Args:
        data: the document.
        kind: that it must be of.
        where: it lies, for the message.
        error: to raise.

    Raises:
        error: it is not of that kind; one line.
        NewerError: it is of a later format.
    """
    try:
        found = _parsed(data)
        if isinstance(found, dict) and (_FORMAT in found or _CHECKSUM in found):
            return _unsealed(found, kind, where)
        return _checked(_converted(found, kind))
    except ValueError as problem:
        raise error(f"{where} is not {kind.what}: {problem}; {kind.remedy}") from problem


def as_record(found: object, kind: type[AnyRecord], where: str, error: type[ArmBatchError]) -> AnyRecord:
    """The same for a document that was no JSON: dictionaries, lists and values.

    Raises:
        error: it is not of that kind; one line.
    """
    try:
        return _checked(msgspec.convert(found, kind))
    except (msgspec.ValidationError, ValueError) as problem:
        raise error(f"{where} is not {kind.what}: {_in_words(problem)}; {kind.remedy}") from problem


def decode_json(data: bytes, kind: type[Anything]) -> Anything:
    """Read JSON strictly as any type that msgspec knows.

    Raises:
        ValueError: it is not of that type; says where, as a JSON path, and what was expected.
    """
    return _converted(_parsed(data), kind)


def encode_record(record: Record) -> bytes:
    """What `decode_record` reads back to an equal record."""
    return (json.dumps(sealed(to_builtins(record), type(record)), indent=1) + "\n").encode()


def sealed(values: dict[str, Any], kind: type[Record]) -> dict[str, Any]:
    """The values of a record as its document has them: with a format and a checksum."""
    document = {_FORMAT: kind.format, **values}
    return document if kind.by_hand else {**document, _CHECKSUM: _checksum(document)}


def to_builtins(value: Any) -> Any:
    """A record, or what holds some, as dictionaries and lists; sets in order."""
    return msgspec.to_builtins(value, order="deterministic", str_keys=True)


def _unsealed(found: dict[str, Any], kind: type[AnyRecord], where: str) -> AnyRecord:
    """The record in a document that says its format; `ValueError` where it is not what was written."""
    number, checksum = found.get(_FORMAT), found.get(_CHECKSUM)
    values = {name: value for name, value in found.items() if name not in (_FORMAT, _CHECKSUM)}
    # A flipped bit makes no later format: that has a checksum that fits.
    whole = checksum == _checksum({_FORMAT: number, **values}) or (kind.by_hand and _CHECKSUM not in found)
    if type(number) is not int or number < 1:
        raise ValueError(f"at `$.{_FORMAT}`: expected a whole number from 1 to {kind.format}")
    if whole and number > kind.format:
        raise NewerError(
            f"{where} was written by a newer arm-batch, in format {number} of {kind.what} (this one reads up to "
            f"{kind.format}): use that version or a later one"
        )
    record = _checked(_converted(values, kind))
    if not whole:
        told = "is missing" if _CHECKSUM not in found else "does not fit: a value has changed since it was written"
        raise ValueError(f"at `$.{_CHECKSUM}`: it {told}")
    return record


def _checksum(document: dict[str, Any]) -> str:
    """SHA-256 of all values, however the document is laid out."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(
            data,
            object_pairs_hook=_named_once,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise ValueError(f"it is no JSON ({problem})" if data else "it is empty") from problem


def _converted(found: Any, kind: type[Anything]) -> Anything:
    try:
        return msgspec.convert(found, kind, str_keys=True)
    except msgspec.ValidationError as problem:
        raise ValueError(_in_words(problem)) from problem


def _checked(record: AnyRecord) -> AnyRecord:
    record.check()
    return record


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"`{next(name for name in names if names.count(name) > 1)[:80]}` is there more than once")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number that is taken")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text):,} digits is too large")
    return int(text)


def _in_words(problem: Exception) -> str:
    """A message of msgspec's as part of a sentence, with the place in front."""
    told, _, place = str(problem).partition(" - at ")
    told = told[:1].lower() + told[1:]
    for pattern, words in _PATTERNS.items():
        told = told.replace(f"`str` matching regex {pattern!r}", words)
    return f"at {place}: {told}" if place else told
