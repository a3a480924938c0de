"""Documents are read as what their type says, or refused in one line."""

from __future__ import annotations

import contextlib
import json
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.json_records import (
    Amount,
    Count,
    Name,
    Record,
    Sha256,
    as_record,
    decode_json,
    decode_record,
    encode_record,
)
from arm_batch.errors import LadderError, NewerError, StoreError
from tests.sealed import changed, of_before, resealed


class Inner(Record, frozen=True):
    amounts: tuple[Amount, ...]


class Thing(Record, frozen=True):
    what: ClassVar[str] = "a thing"
    remedy: ClassVar[str] = "make another"
    format: ClassVar[int] = 2

    name: Name
    count: Count
    inner: Inner
    by_number: dict[int, Count]
    sha256: Sha256 | None = None

    def check(self) -> None:
        if self.count == 13:
            raise ValueError("13 is not counted")


class Written(Thing, frozen=True):
    by_hand: ClassVar[bool] = True


SOUND = b'{"name": "a", "count": 1, "inner": {"amounts": [0, 1.5]}, "by_number": {"7": 8}}'


def refused(data: bytes) -> str:
    with pytest.raises(LadderError) as caught:
        decode_record(data, Thing, "folder/thing.json", LadderError)
    message = str(caught.value)
    assert message.startswith("folder/thing.json is not a thing: ")
    assert message.endswith("; make another")
    assert "\n" not in message
    assert len(message) < 400
    return message


def test_a_sound_document_is_read() -> None:
    found = decode_record(SOUND, Thing, "here", StoreError)
    assert found == Thing("a", 1, Inner((0.0, 1.5)), {7: 8})
    assert as_record(json.loads(SOUND) | {"by_number": {}}, Thing, "here", StoreError).inner == found.inner


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "it is empty"),
        (b"\xff", "it is no JSON"),
        (SOUND[:-1], "it is no JSON"),
        (SOUND + b"x", "it is no JSON"),
        (b"3", "expected `object`, got `int`"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"name":' * 100_000, "nested too deeply"),
        (SOUND.replace(b"1,", b"true,"), "at `$.count`: expected `int`, got `bool`"),
        (SOUND.replace(b"1,", b"1.0,"), "at `$.count`: expected `int`, got `float`"),
        (SOUND.replace(b"1,", b'"1",'), "at `$.count`: expected `int`, got `str`"),
        (SOUND.replace(b"1,", b"-1,"), "at `$.count`: expected `int` >= 0"),
        (SOUND.replace(b"1,", b"13,"), "13 is not counted"),
        (SOUND.replace(b"1,", b"1" + b"0" * 5000 + b","), "5,001 digits"),
        (SOUND.replace(b"1.5", b"NaN"), "NaN is no number"),
        (SOUND.replace(b"1.5", b"-Infinity"), "-Infinity is no number"),
        (SOUND.replace(b"1.5", b"1e999"), "1e999 is too large"),
        (SOUND.replace(b"1.5", b"-0.5"), "at `$.inner.amounts[1]`: expected `float` >= 0"),
        (SOUND.replace(b'"inner"', b'"outer"'), "unknown field `outer`"),
        (b'{"name": "a", "count": 1}', "missing required field `inner`"),
        (SOUND.replace(b'"a"', b'"a", "name": "b"'), "`name` is there more than once"),
        (SOUND.replace(b'"7": 8', b'"7": 8, "7": 9'), "`7` is there more than once"),
        (SOUND.replace(b'"7"', b'"x"'), "expected `int`"),
        (SOUND.replace(b'"a"', b'"../a"'), "at `$.name`: expected a name of letters"),
        (SOUND.replace(b'"a"', b'"a\\n"'), "at `$.name`: expected a name of letters"),
        (SOUND.replace(b'"name"', b'"sha256": "0a", "name"'), "at `$.sha256`: expected 64 hex digits"),
    ],
)
def test_a_broken_document_is_named(data: bytes, told: str) -> None:
    assert told in refused(data)


@given(
    st.from_regex(r"\A[a-z0-9._-]{1,20}\Z"),
    st.integers(0, 10**39),
    st.lists(st.floats(0, allow_infinity=False)),
    st.dictionaries(st.integers(0, 2**40), st.integers(0, 2**70)),
)
def test_what_is_written_is_read_back(
    name: str, count: int, amounts: list[float], by_number: dict[int, int]
) -> None:
    if count == 13:
        return
    thing = Thing(name, count, Inner(tuple(amounts)), by_number)
    assert decode_record(encode_record(thing), Thing, "", StoreError) == thing


@given(st.binary(max_size=60))
def test_no_bytes_end_otherwise(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode_json(data, dict[str, list[int]])


def test_names_that_are_no_utf8_survive() -> None:
    """File systems have such names, and settings hold the folders of inputs."""
    assert decode_json(json.dumps({"input": "/data/\udcff"}).encode(), dict[str, str]) == {"input": "/data/\udcff"}


WHOLE = encode_record(Thing("a", 1, Inner((0.0, 1.5)), {7: 8, 10: 9}))


def test_a_document_says_its_format_and_has_a_checksum() -> None:
    document = json.loads(WHOLE)
    assert document["format"] == 2
    assert resealed(document) == json.dumps(document).encode()
    assert decode_record(of_before(WHOLE), Thing, "", StoreError) == decode_record(WHOLE, Thing, "", StoreError)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 7))
def test_a_flipped_bit_is_told_or_means_nothing(place: int, bit: int) -> None:
    data = WHOLE[:place] + bytes([WHOLE[place] ^ 1 << bit]) + WHOLE[place + 1 :]
    with contextlib.suppress(StoreError):
        assert decode_record(data, Thing, "", StoreError) == decode_record(WHOLE, Thing, "", StoreError)
        assert json.loads(data) == json.loads(WHOLE)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (WHOLE.replace(b'"count": 1', b'"count": 2'), "at `$.checksum`: it does not fit"),
        (WHOLE.replace(b'"count": 1', b'"count": -1'), "at `$.count`: expected `int` >= 0"),
        (WHOLE.replace(b'"format": 2', b'"format": 3'), "at `$.checksum`: it does not fit"),
        (changed(WHOLE, format=0), "at `$.format`: expected a whole number from 1 to 2"),
        (changed(WHOLE, format=True), "at `$.format`: expected a whole number"),
        (changed(WHOLE, format="2"), "at `$.format`: expected a whole number"),
        (changed(WHOLE, format=None), "at `$.format`: expected a whole number"),
        (WHOLE.replace(b'"format": 2,', b""), "at `$.format`: expected a whole number"),
        (WHOLE.replace(b'"checksum"', b'"chacksum"'), "unknown field `chacksum`"),
        (json.dumps(json.loads(of_before(WHOLE)) | {"format": 2}).encode(), "at `$.checksum`: it is missing"),
    ],
)
def test_what_is_not_as_it_was_written_is_named(data: bytes, told: str) -> None:
    assert told in refused(data)


def test_a_later_format_is_no_damage() -> None:
    later = changed(WHOLE, format=3, more={"a": 1})
    with pytest.raises(NewerError) as caught:
        decode_record(later, Thing, "folder/thing.json", StoreError)
    message = str(caught.value)
    assert message.startswith("folder/thing.json was written by a newer arm-batch, in format 3 of a thing (")
    assert "\n" not in message
    assert "make another" not in message


def test_what_people_write_needs_no_checksum() -> None:
    written = encode_record(Written("a", 1, Inner(()), {}))
    assert "checksum" not in json.loads(written)
    for data in (written, written.replace(b'"format": 2,', b""), written.replace(b'"count": 1', b'"count": 2')):
        assert decode_record(data, Written, "", StoreError).name == "a"
    with pytest.raises(NewerError):
        decode_record(written.replace(b'"format": 2', b'"format": 3'), Written, "", StoreError)
