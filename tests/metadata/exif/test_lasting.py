"""What of EXIF changes with the pixels."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from arm_batch.core.image_options import Reading
from arm_batch.images import FORMATS, Picture, decode, encode, fit_metadata
from arm_batch.metadata import Metadata, enlarge_metadata
from arm_batch.metadata.exif import as_srgb, enlarged, parse_block, serialise, turned
from arm_batch.metadata.exif.tags import DETAILS, INTEROP
from tests import exif_blocks as blocks
from tests.exif_blocks import MAKERS, Block, Seen, ascii, long, rational, short, undefined
from tests.image_files import WIDE, saved, smooth

RGB8 = smooth(0)
HEIGHT, WIDTH = RGB8.shape[:2]


def block(order: str = ">", **more: blocks.Value) -> bytes:
    details = {
        0xA001: short(order, 0xFFFF),
        0xA002: short(order, WIDTH),
        0xA003: short(order, HEIGHT),
        0xA20E: rational(order, (4000, 3)),
        0xA20F: rational(order, (5000, 3)),
        0xA210: short(order, 3),
    }
    details |= {int(name[1:], 16): value for name, value in more.items()}
    main = {
        0x11A: rational(order, (300, 1)),
        0x11B: rational(order, (200, 1)),
        0x128: short(order, 2),
        0x13E: rational(order, (1, 3), (1, 3)),
    }
    interop = {1: ascii("R03"), 2: undefined(b"0100"), 0x1001: short(order, WIDTH), 0x1002: short(order, HEIGHT)}
    return Block(order, main, details, {0: (1, 4, b"\2\3\0\0")}, interop).build()


@pytest.mark.parametrize("order", ["<", ">"])
def test_what_counts_pixels_counts_those_of_the_output(order: str) -> None:
    exif = enlarged(parse_block(block(order, x9214=short(order, 30, 20, 10, 6))), 4, 4 * WIDTH, 4 * HEIGHT)
    after = parse_block(serialise(exif))
    assert after.floats(DETAILS, 0xA002) == [4 * WIDTH]
    assert after.floats(DETAILS, 0xA003) == [4 * HEIGHT]
    assert after.floats(DETAILS, INTEROP, 0x1001) == [4 * WIDTH]
    assert after.floats(DETAILS, INTEROP, 0x1002) == [4 * HEIGHT]
    assert after.fractions(DETAILS, 0xA20E) == [(16000, 3)]
    assert after.fractions(DETAILS, 0xA20F) == [(20000, 3)]
    assert after.floats(DETAILS, 0x9214) == [120, 80, 40, 24]
    # As many to the inch as before.
    assert after.floats(0x11A) == [300]


@pytest.mark.parametrize(("kind", "code"), [(11, "f"), (12, "d")])
def test_numbers_may_be_floats(kind: int, code: str) -> None:
    exif = block(xA20E=(kind, 1, struct.pack(f">{code}", 4000.5)))
    after = enlarged(parse_block(exif), 4, 4 * WIDTH, 4 * HEIGHT)
    assert Seen.of(serialise(after)).details[0xA20E] == (kind, 1, struct.pack(f">{code}", 16002))


@pytest.mark.parametrize("pair", [(0, 0), (2**32 - 1, 1), (1, 2**32 - 1)])
def test_odd_fractions_do_no_harm(pair: tuple[int, int]) -> None:
    after = enlarged(parse_block(block(xA20E=rational(">", pair))), 4, 4 * WIDTH, 4 * HEIGHT)
    assert len(after.fractions(DETAILS, 0xA20E)) == 1


@pytest.mark.parametrize(
    "value",
    [
        (4, 1, struct.pack(">I", 2**31)),
        (11, 1, struct.pack(">f", 3e38)),
        (12, 1, struct.pack(">d", 1.5e308)),
        (5, 1, struct.pack(">2I", 2**31, 0)),
    ],
)
def test_numbers_that_would_fit_no_more_stay_as_they_are(value: blocks.Value) -> None:
    after = enlarged(parse_block(block(xA20E=value)), 4, 4 * WIDTH, 4 * HEIGHT)
    assert Seen.of(serialise(after)).details[0xA20E] == value


def test_sides_of_more_than_sixteen_bits() -> None:
    after = enlarged(parse_block(block()), 4, 100_000, 70_000)
    entry = after.entry(DETAILS, 0xA002)
    assert entry is not None
    assert (entry.kind, after.floats(DETAILS, 0xA002)) == (4, [100_000])


def test_sizes_that_were_not_there_are_not_made_up() -> None:
    plain = Block("<", {0x10F: ascii("M")}, {0x829A: rational("<", (1, 9))}, {}, {}).build()
    after = Seen.of(serialise(enlarged(parse_block(plain), 4, 400, 400)))
    assert (set(after.main), set(after.details)) == ({0x10F}, {0x829A})


def test_a_subject_outside_of_the_picture_counts_other_pixels_and_stays() -> None:
    area = short(">", 1136, 852, 280, 280)
    after = enlarged(parse_block(block(x9214=area)), 4, 4 * WIDTH, 4 * HEIGHT)
    assert after.floats(DETAILS, 0x9214) == [1136, 852, 280, 280]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_subject_turns_with_the_picture(orientation: int) -> None:
    """Its centre is the one white pixel."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[9, 33] = 255
    exif = block(x9214=short(">", 33, 9, 8, 4))
    # The orientation by hand: in place of a tag that says nothing of it.
    exif = exif.replace(b"\x01\x28\0\3\0\0\0\1\0\2", b"\x01\x12\0\3\0\0\0\1\0" + bytes([orientation]))
    picture = decode(saved(pixels, "PNG", exif=exif))
    found = parse_block(picture.metadata.exif or b"")
    x, y, across, down = map(int, found.floats(DETAILS, 0x9214))
    assert picture.pixels[y, x, 0] == 255
    assert (across, down) == ((4, 8) if orientation >= 5 else (8, 4))
    expected = (5000, 4000) if orientation >= 5 else (4000, 5000)
    assert [found.fractions(DETAILS, tag)[0][0] for tag in (0xA20E, 0xA20F)] == list(expected)
    assert found.floats(DETAILS, 0xA002) == [picture.pixels.shape[1]]
    assert found.entry(0x112) is None


def test_turning_swaps_the_resolution() -> None:
    after = turned(parse_block(block()), 6, WIDTH, HEIGHT)
    assert (after.floats(0x11A), after.floats(0x11B)) == ([200], [300])


def test_colours_that_became_srgb_are_not_called_otherwise() -> None:
    exif = as_srgb(parse_block(block(xA500=rational(">", (22, 10)))))
    after = Seen.of(serialise(exif))
    assert after.interop[1] == ascii("R98")
    assert after.details[0xA001] == short(">", 1)
    assert 0xA500 not in after.details
    assert 0x13E not in after.main
    picture = decode(saved(RGB8, "JPEG", exif=block(), icc_profile=WIDE), Reading(to_srgb=True))
    assert Seen.of(picture.metadata.exif or b"").interop[1] == ascii("R98")
    kept = decode(saved(RGB8, "JPEG", exif=block(), icc_profile=WIDE))
    assert Seen.of(kept.metadata.exif or b"").interop[1] == ascii("R03")


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_is_made_up(format: str) -> None:
    """Neither EXIF of an own kind nor a resolution."""
    data = encode(Picture.plain(RGB8), format)
    assert format == "tiff" or blocks.exif_in(data) is None
    with Image.open(io.BytesIO(data)) as image:
        # Pillow's own word for none.
        assert image.info.get("dpi", (1, 1)) == (1, 1)
        assert not {0x11A, 0x128, 0x8769, 0x132} & set(image.getexif())
        assert not image.getexif().get_ifd(0x8769)


@pytest.mark.parametrize("format", FORMATS)
def test_the_resolution_is_told_also_where_no_exif_tells_it(format: str) -> None:
    data = encode(Picture(pixels=RGB8, planes=RGB8[..., :0], metadata=Metadata(dpi=(300, 150))), format)
    assert decode(data).metadata.dpi == pytest.approx((300, 150), abs=0.02)


def test_enlarging_without_metadata_gives_none() -> None:
    assert enlarge_metadata(Metadata(), 4, 400, 400) == Metadata()


def test_a_long_block_loses_its_maker_notes_first() -> None:
    notes = {1: undefined(bytes(40_000))}
    details = {0x9286: undefined(bytes(30_000))}
    long_block = Block(
        "<", {0x10F: ascii("M")}, details, {0: long("<", 1)}, {1: ascii("R98")}, MAKERS["canon"], notes
    )
    metadata = Metadata(exif=serialise(parse_block(long_block.build())))
    fitted = fit_metadata(Picture(pixels=RGB8, planes=RGB8[..., :0], metadata=metadata), "jpeg")
    after = Seen.of(fitted.metadata.exif or b"")
    assert set(after.details) == {0x9286}
    assert fitted.notes == ("its maker notes are left out: with them EXIF has more than 65,500 bytes",)
    assert decode(encode(fitted, "jpeg")).metadata.exif == fitted.metadata.exif
