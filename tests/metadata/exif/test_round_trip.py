"""Every tag of generated blocks, of each maker's shape, through every format that holds EXIF."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from arm_batch.images import FORMATS, decode, encode, fit_metadata
from arm_batch.metadata.exif import parse_block, serialise
from tests import exif_blocks as blocks
from tests.exif_blocks import MAKERS, NOTE, Block, Seen, ascii, long, rational, short, undefined
from tests.image_files import saved, smooth

RGB8 = smooth(0)
KEEP_NOTES = [name for name in FORMATS if name != "tiff"]
OTHER_ORDER = {"<": ">", ">": "<"}


def camera(order: str, maker: str | None = None) -> Block:
    """As one comes out of a camera, with tags on both sides of the Interop directory's."""
    notes = {
        0x0001: short(order_of(order, maker), 1, 2),
        0x0002: ascii("NORMAL PROGRAM"),
        0x0010: long(order_of(order, maker), *range(9)),
        0x0E00: undefined(bytes(range(200))),
    }
    return Block(
        order=order,
        main={
            0x010E: ascii("a description"),
            0x010F: ascii("Maker"),
            0x0110: ascii("Model 1"),
            0x0112: short(order, 1),
            0x011A: rational(order, (300, 1)),
            0x011B: rational(order, (300, 1)),
            0x0128: short(order, 2),
            0x0213: short(order, 2),
            0xC4A5: undefined(b"PrintIM\x000300" + bytes(30)),
        },
        details={
            0x829A: rational(order, (1, 125)),
            0x9000: undefined(b"0221"),
            0x9204: (10, 1, struct.pack(f"{order}2i", -1, 3)),
            0x9286: undefined(b"ASCII\0\0\0hello"),
            0xA001: short(order, 1),
            0xA002: short(order, 60),
            0xA003: long(order, 40),
            0xA402: short(order, 0),
            0xA403: short(order, 1),
            0xA405: short(order, 35),
            0xA406: short(order, 0),
            0xA434: ascii("a lens 24-70"),
        },
        place={
            0: (1, 4, b"\2\3\0\0"),
            1: ascii("N"),
            2: rational(order, (48, 1), (8, 1), (14, 1)),
            0x1D: ascii("2020:01:02"),
        },
        interop={1: ascii("R98"), 2: undefined(b"0100")},
        maker=None if maker is None else MAKERS[maker],
        notes=None if maker is None else notes,
        thumbnail=saved(smooth(1), "JPEG"),
    )


def order_of(order: str, maker: str | None) -> str:
    return (MAKERS[maker].order if maker else "") or order


def through(block: bytes, format: str) -> tuple[bytes, tuple[str, ...]]:
    """The file that a JPEG file with this block becomes, of the same size, and the notes."""
    picture = fit_metadata(decode(saved(RGB8, "JPEG", exif=block)), format)
    return encode(picture, format), picture.notes


def swapped(tags: dict[int, blocks.Value]) -> dict[int, blocks.Value]:
    words = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4}
    return {
        tag: (
            kind,
            count,
            data
            if kind not in words
            else b"".join(data[p : p + words[kind]][::-1] for p in range(0, len(data), words[kind])),
        )
        for tag, (kind, count, data) in tags.items()
    }


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("format", FORMATS)
def test_all_tags_come_through(format: str, order: str) -> None:
    before = Seen.of(camera(order).build())
    data, notes = through(camera(order).build(), format)
    after = Seen.of(blocks.exif_in(data) or b"")
    assert notes == ()
    same = (lambda tags: tags) if after.order == order else swapped
    orientation = 0x0112
    expected = {tag: value for tag, value in before.main.items() if tag != orientation}
    if format == "tiff":
        # Its directory tells of the samples as well.
        assert expected.items() - same(after.main).items() == set()
    else:
        assert after.order == order
        assert after.main == expected
    assert same(after.details) == before.details
    assert same(after.place) == before.place
    assert same(after.interop) == before.interop


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("maker", MAKERS)
def test_maker_notes_stay_readable(maker: str, order: str) -> None:
    block = camera(order, maker).build()
    before = Seen.of(block)
    assert before.note_at is not None
    told = MAKERS[maker].read(before.tiff, before.note_at, order)
    assert told == camera(order, maker).notes
    for format in KEEP_NOTES:
        data, notes = through(block, format)
        after = Seen.of(blocks.exif_in(data) or b"")
        assert after.note_at is not None
        assert MAKERS[maker].read(after.tiff, after.note_at, order) == told
        assert (after.details, notes) == (before.details, ())


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("maker", MAKERS)
def test_in_tiff_maker_notes_are_readable_or_left_out_with_a_note(maker: str, order: str) -> None:
    data, notes = through(camera(order, maker).build(), "tiff")
    after = Seen.of(data)
    if MAKERS[maker].base == "block":
        assert NOTE not in after.details
        assert [note[:30] for note in notes] == ["its maker notes are left out: "]
    else:
        assert after.note_at is not None
        assert MAKERS[maker].read(data, after.note_at, order) == camera(order, maker).notes
        assert notes == ()


def test_what_maker_notes_point_to_outside_of_themselves_stays_too() -> None:
    """As editors leave them that have moved them."""
    block = camera("<", "canon").build()
    before = Seen.of(block)
    assert before.note_at is not None
    # The same entries, 76 bytes further down than their offsets take them to be.
    size = before.details[NOTE][1]
    table = before.note_at + 2
    moved = bytearray(before.tiff)
    for place in range(table, table + 4 * 12, 12):
        kind, count, offset = struct.unpack_from("<HII", moved, place + 2)
        if blocks.SIZES[kind] * count > 4:
            struct.pack_into("<I", moved, place + 8, offset + size)
    told = MAKERS["canon"].read(bytes(moved), before.note_at, "<")
    assert told != camera("<", "canon").notes
    data, _ = through(b"Exif\0\0" + bytes(moved), "jpeg")
    after = Seen.of(blocks.exif_in(data) or b"")
    assert after.note_at == before.note_at
    assert MAKERS["canon"].read(after.tiff, after.note_at, "<") == told


VALUES = st.one_of(
    st.text("abc xyz", max_size=40).map(ascii),
    st.binary(min_size=1, max_size=300).map(undefined),
    st.lists(st.integers(0, 65535), min_size=1, max_size=9).map(lambda values: short("<", *values)),
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=4).map(
        lambda pairs: rational("<", *pairs)
    ),
)


def some(tags: st.SearchStrategy[int]) -> st.SearchStrategy[dict[int, blocks.Value]]:
    return st.dictionaries(tags, VALUES, max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    main=some(st.integers(0x9C9B, 0xA000)),
    details=some(st.integers(0xA100, 0xA20D) | st.integers(0xA300, 0xFFFF)),
    place=some(st.integers(0, 0x1F)),
    interop=st.dictionaries(st.integers(1, 0xFFF), VALUES, min_size=1, max_size=9),
    maker=st.sampled_from(sorted(MAKERS)),
)
def test_any_tags_come_through(
    main: dict[int, blocks.Value],
    details: dict[int, blocks.Value],
    place: dict[int, blocks.Value],
    interop: dict[int, blocks.Value],
    maker: str,
) -> None:
    block = Block("<", main, details, place, interop, MAKERS[maker], camera("<", maker).notes).build()
    before = Seen.of(block)
    picture = decode(saved(RGB8, "JPEG", exif=block))
    after = Seen.of(picture.metadata.exif or b"")
    assert (after.main, after.details, after.place) == (before.main, before.details, before.place)
    assert after.interop == before.interop
    assert before.note_at is not None
    assert after.note_at is not None
    told = MAKERS[maker].read(before.tiff, before.note_at, "<")
    assert MAKERS[maker].read(after.tiff, after.note_at, "<") == told


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damage_never_does_more_than_cost_tags(data: st.DataObject) -> None:
    block = bytearray(camera(data.draw(st.sampled_from("<>")), data.draw(st.sampled_from(sorted(MAKERS)))).build())
    for _ in range(data.draw(st.integers(1, 6))):
        block[data.draw(st.integers(6, len(block) - 1))] = data.draw(st.integers(0, 255))
    block = block[: data.draw(st.integers(14, len(block)))]
    picture = decode(saved(RGB8, "JPEG", exif=bytes(block)))
    for format in ("jpeg", "png", "tiff"):
        fitted = fit_metadata(picture, format)
        Image.open(io.BytesIO(encode(fitted, format))).load()


@pytest.mark.parametrize("tag", [0x11A, 0x128, 0x829A, 0xA002])
def test_any_kind_of_a_value_leaves_a_file_that_others_open(tag: int) -> None:
    for kind in range(256):
        block = camera("<").build()
        place = block.index(struct.pack("<H", tag)) + 2
        picture = decode(saved(RGB8, "JPEG", exif=block[:place] + bytes([kind]) + block[place + 1 :]))
        Image.open(io.BytesIO(encode(picture, "jpeg"))).load()


def test_what_is_written_again_is_the_same() -> None:
    for maker in MAKERS:
        once = serialise(parse_block(camera(">", maker).build()))
        assert serialise(parse_block(once)) == once


def test_a_directory_that_is_cut_off_keeps_what_is_there_with_a_note() -> None:
    block = camera("<").build()
    # The last values, those of the details, are gone.
    cut = block[: block.index(b"a lens")]
    picture = decode(saved(RGB8, "JPEG", exif=cut))
    after = Seen.of(picture.metadata.exif or b"")
    before = Seen.of(block)
    assert after.details == {tag: value for tag, value in before.details.items() if tag != 0xA434}
    assert after.place == before.place
    assert picture.notes == ("its EXIF is damaged: what could not be read is left out (1)",)
