"""Records as JSON: every document that a run, a pool or a ladder keeps is of a type, and is read strictly by it.

A document is refused where it is not exactly what its type says: a name twice, missing or unknown, a value of
another kind or out of range, a number that is not finite or longer than any that is written. The error names the
document, the place in it, what was expected there, and what to do.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec

from arm_batch.errors import ArmBatchError

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


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a document holds. A part of one needs neither `what` nor `remedy`.

    Attributes:
        what: such a document is, for messages: ``a commit record``.
        remedy: what a user can do about a damaged one, as the end of a sentence.
    """

    what: ClassVar[str]
    remedy: ClassVar[str]

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
    """
    try:
        return _checked(decode_json(data, kind))
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
    try:
        found = json.loads(
            data,
            object_pairs_hook=_named_once,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_whole,
        )
        return msgspec.convert(found, kind, str_keys=True)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except msgspec.ValidationError as problem:
        raise ValueError(_in_words(problem)) from problem
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise ValueError(f"it is no JSON ({problem})" if data else "it is empty") from problem


def encode_record(record: Record) -> bytes:
    """What `decode_record` reads back to an equal record."""
    return (json.dumps(to_builtins(record), indent=1) + "\n").encode()


def to_builtins(value: Any) -> Any:
    """A record, or what holds some, as dictionaries and lists; sets in order."""
    return msgspec.to_builtins(value, order="deterministic")


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
