"""Colours that files describe in other ways than by a profile: kept as a profile, and converted on demand."""

from __future__ import annotations

import io
import struct
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from arm_batch.core.arrays import Pixels
from arm_batch.core.image_options import Reading
from arm_batch.errors import ImageError
from arm_batch.images import FORMATS, decode, encode, fit_metadata
from tests.exif_blocks import Block, ascii, short, undefined
from tests.image_files import GREY_GAMMA, SRGB, WIDE, chunk, saved, smooth, tiff, to_srgb_by_pillow, with_chunk
from tests.metadata.test_icc import ADOBE, FROM_XYZ, P3, ROMM, encoded, pq_light, srgb_light

RGB8 = smooth(0)
GREY8 = np.ascontiguousarray(RGB8[..., :1])

X, Y, Z = np.linalg.inv(FROM_XYZ)


def shown(pixels: Pixels, kind: str) -> np.ndarray:
    """In sRGB, 0 to 255."""
    samples = pixels / 255
    if kind == "gamma 1.8":
        return encoded(samples**1.8)
    if kind == "pq":
        return encoded(pq_light(samples))
    if kind == "adobe":
        return encoded(samples ** (563 / 256) @ ADOBE.T @ FROM_XYZ.T)
    if kind == "romm":
        return encoded(samples**1.8 @ ROMM.T @ FROM_XYZ.T)
    return encoded(srgb_light(samples) @ P3.T @ FROM_XYZ.T)


def cicp(primaries: int, transfer: int) -> bytes:
    return bytes([primaries, transfer, 0, 1])


def chrm(*values: float) -> bytes:
    return struct.pack(">8I", *(round(value * 100_000) for value in values))


P3_POINTS = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def png(*chunks: tuple[bytes, bytes], pixels: Pixels = RGB8) -> bytes:
    data = saved(pixels, "PNG")
    for kind, body in chunks:
        data = with_chunk(data, kind, body)
    return data


def gamma(exponent: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(100_000 / exponent))


def avif(primaries: int, transfer: int, **options: object) -> bytes:
    """By Pillow, which says 1 and 13."""
    data = saved(RGB8, "AVIF", quality=100, subsampling="4:4:4", **options)
    place = data.index(b"nclx") + 4
    return data[:place] + struct.pack(">HH", primaries, transfer) + data[place + 4 :]


def jp2(*colour: bytes, lossless: bool = True) -> bytes:
    """With another box for the colours."""
    data = saved(RGB8, "JPEG2000", irreversible=not lossless)
    place = data.index(b"colr") - 4
    (size,) = struct.unpack_from(">I", data, place)
    box = b"".join(colour)
    whole = struct.pack(">I", 8 + len(box)) + b"colr" + box
    header = data.index(b"jp2h") - 4
    (outer,) = struct.unpack_from(">I", data, header)
    mended = data[:place] + whole + data[place + size :]
    return mended[:header] + struct.pack(">I", outer + len(whole) - size) + mended[header + 4 :]


def bmp(kind: bytes, ends: tuple[float, ...] = (0.0,) * 9, exponent: float = 0.0, profile: bytes = b"") -> bytes:
    """Version 5, 24 bits."""
    height, width = RGB8.shape[:2]
    rows = RGB8[::-1, :, ::-1].tobytes()
    assert (3 * width) % 4 == 0
    header = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 24, 0, len(rows), 2835, 2835, 0, 0)
    header += bytes(16) + kind + struct.pack("<9i", *(round(value * 2**30) for value in ends))
    header += struct.pack("<3I", *(round(exponent * 65536),) * 3) + struct.pack("<I", 4)
    header += struct.pack("<III", 124 + len(rows) if profile else 0, len(profile), 0)
    body = header + rows + profile
    return b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, 14 + 124) + body


def by_camera(colour_space: int, index: str | None) -> bytes:
    interop = {} if index is None else {1: ascii(index), 2: undefined(b"0100")}
    block = Block(">", {0x10F: ascii("M")}, {0xA001: short(">", colour_space)}, {0: (1, 4, b"\2\3\0\0")}, interop)
    return block.build()


def tagged_tiff(**options: object) -> bytes:
    image = Image.fromarray(RGB8)
    tags = Image.Exif()
    tags[318] = (IFDRational(3127, 10000), IFDRational(329, 1000))
    tags[319] = tuple(IFDRational(round(value * 1000), 1000) for value in P3_POINTS[2:])
    return saved(image, "TIFF", tiffinfo=tags, **options)


XYZ_OF_P3 = tuple(
    value
    for x, y, light in ((0.68, 0.32, 0.22897), (0.265, 0.69, 0.69174), (0.15, 0.06, 0.07929))
    for value in (light * x / y, light, light * (1 - x - y) / y)
)

DESCRIBED = {
    "png cicp": (png((b"cICP", cicp(12, 13))), "p3", RGB8),
    "png cicp goes first": (
        png((b"gAMA", gamma(1.8)[1]), (b"cICP", cicp(12, 13)), pixels=RGB8),
        "p3",
        RGB8,
    ),
    "png gama": (png(gamma(1.8)), "gamma 1.8", RGB8),
    "png gama grey": (png(gamma(1.8), pixels=GREY8), "gamma 1.8", GREY8),
    "png chrm": (png((b"cHRM", chrm(*P3_POINTS)), gamma(2.2)), "p3", RGB8),
    "avif": (avif(12, 13), "p3", None),
    "jp2": (jp2(b"\1\0\0", struct.pack(">I", 21)), "romm", RGB8),
    "bmp xyz": (bmp(bytes(4), XYZ_OF_P3, 2.2), "p3", RGB8),
    "bmp gamma": (
        bmp(bytes(4), (0.64, 0.33, 0.03, 0.3, 0.6, 0.1, 0.15, 0.06, 0.79), 1.8),
        "gamma 1.8",
        RGB8,
    ),
    "tiff": (tagged_tiff(), "p3", RGB8),
    "tiff curve": (
        tiff(
            RGB8,
            photometric="rgb",
            extratags=[(301, 3, 256, [round(65535 * (n / 255) ** 1.8) for n in range(256)], True)],
        ),
        "gamma 1.8",
        RGB8,
    ),
    "tiff three curves": (
        tiff(
            RGB8,
            photometric="rgb",
            extratags=[(301, 3, 768, [round(65535 * (n / 255) ** 1.8) for n in range(256)] * 3, True)],
        ),
        "gamma 1.8",
        RGB8,
    ),
    "dcf": (saved(RGB8, "JPEG", quality=100, subsampling=0, exif=by_camera(0xFFFF, "R03")), "adobe", None),
    "dcf without interop": (saved(RGB8, "PNG", exif=by_camera(2, None)), "adobe", RGB8),
}


@pytest.mark.parametrize("name", DESCRIBED)
def test_described_colours_are_kept(name: str) -> None:
    data, kind, exact = DESCRIBED[name]
    picture = decode(data)
    assert picture.metadata.icc is not None
    assert picture.notes == ()
    if exact is not None:
        np.testing.assert_array_equal(picture.pixels, exact)
    pixels = exact if exact is not None else picture.pixels
    expected = shown(pixels, kind)
    assert np.abs(expected - pixels).mean() > 3
    source = Image.fromarray(picture.pixels if picture.pixels.shape[2] == 3 else picture.pixels[..., 0])
    by_profile = to_srgb_by_pillow(source, picture.metadata.icc)
    assert np.abs(by_profile - expected).mean() < 1


@pytest.mark.parametrize("name", DESCRIBED)
def test_described_colours_are_converted_on_demand(name: str) -> None:
    data, kind, _ = DESCRIBED[name]
    kept, converted = decode(data), decode(data, Reading(to_srgb=True))
    assert converted.metadata.icc is None
    assert np.abs(converted.pixels - shown(kept.pixels, kind)).mean() < 1
    # Nothing in it says otherwise any more.
    for format in FORMATS:
        assert decode(encode(fit_metadata(converted, format), format)).metadata.icc is None


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_carries_them(format: str) -> None:
    picture = decode(DESCRIBED["png cicp"][0])
    assert decode(encode(picture, format)).metadata.icc == picture.metadata.icc


SRGB_IN_WORDS = {
    "gama": png(gamma(2.2)),
    "srgb chunk": png((b"sRGB", b"\0"), gamma(1.8)),
    "chrm": png((b"cHRM", chrm(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06))),
    "cicp": png((b"cICP", cicp(1, 13))),
    "unspecified": png((b"cICP", cicp(2, 2))),
    "broken chrm": png((b"cHRM", bytes(32)), gamma(2.2)),
    "short chunks": png((b"cICP", b"\x0c"), (b"gAMA", b"\0"), (b"cHRM", b"\0\0")),
    "bmp": bmp(b"BGRs"),
    "bmp of windows": bmp(b" niW"),
    "bmp without numbers": bmp(bytes(4)),
    "dcf": saved(RGB8, "PNG", exif=by_camera(1, "R98")),
    "uncalibrated": saved(RGB8, "PNG", exif=by_camera(0xFFFF, None)),
    "tiff": tiff(RGB8, photometric="rgb"),
    "jp2": jp2(b"\1\0\0", struct.pack(">I", 16)),
}


@pytest.mark.parametrize("name", SRGB_IN_WORDS)
def test_srgb_in_any_words_stays_without_a_profile(name: str) -> None:
    picture = decode(SRGB_IN_WORDS[name])
    assert (picture.metadata.icc, picture.notes) == (None, ())
    np.testing.assert_array_equal(picture.pixels, RGB8)


def test_a_profile_goes_before_what_is_said_otherwise_but_for_codes() -> None:
    profile = saved(RGB8, "PNG", icc_profile=WIDE)
    assert decode(with_chunk(profile, *gamma(1.8))).metadata.icc == WIDE
    assert (
        decode(with_chunk(profile, b"cICP", cicp(12, 13))).metadata.icc
        == decode(DESCRIBED["png cicp"][0]).metadata.icc
    )
    assert decode(with_chunk(profile, b"cICP", cicp(2, 2))).metadata.icc == WIDE
    camera = saved(RGB8, "JPEG", exif=by_camera(0xFFFF, "R03"), icc_profile=WIDE)
    assert decode(camera).metadata.icc == WIDE
    assert decode(tagged_tiff(icc_profile=WIDE)).metadata.icc == WIDE
    assert decode(avif(12, 13, icc_profile=WIDE)).metadata.icc == WIDE


@pytest.mark.parametrize("icc", [WIDE, SRGB])
def test_profiles_inside_of_bmp_and_jpeg_2000(icc: bytes) -> None:
    assert decode(bmp(b"DEBM", profile=icc)).metadata.icc == icc
    assert decode(jp2(b"\2\0\0", icc)).metadata.icc == icc
    converted = decode(bmp(b"DEBM", profile=icc), Reading(to_srgb=True))
    expected = to_srgb_by_pillow(Image.fromarray(RGB8), icc)
    assert np.abs(converted.pixels.astype(int) - expected).max() <= 1


def test_a_profile_for_grey_in_jpeg_2000_of_colours_is_dropped_with_a_note() -> None:
    assert decode(jp2(b"\2\0\0", GREY_GAMMA)).notes == (
        "its colour profile is for GRAY, not for its colours, and is dropped",
    )


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (bmp(b"KNIL", profile=b"c:\\profile.icc\0"), "its colour profile is in another file and is left out"),
        (
            png((b"cICP", cicp(99, 13))),
            "its colours have the codes 99 and 13, which are not known: taken for sRGB",
        ),
        (jp2(b"\1\0\0", struct.pack(">I", 20)), "its colours are e-sRGB, which is not read: taken for sRGB"),
    ],
)
def test_what_cannot_be_kept_is_told(data: bytes, note: str) -> None:
    picture = decode(data)
    assert (picture.notes, picture.metadata.icc) == ((note,), None)


def test_hdr_is_kept_and_converted_with_a_note() -> None:
    data = png((b"cICP", cicp(1, 16)))
    for reading in (Reading(), Reading(to_srgb=True)):
        picture = decode(data, reading)
        assert [note[:8] for note in picture.notes] == ["PQ (HDR)"]
        assert (picture.metadata.icc is None) == reading.to_srgb
    assert np.abs(picture.pixels - shown(RGB8, "pq")).mean() < 1
    # Programs that know these codes find them in the profile.
    icc = decode(data).metadata.icc or b""
    assert b"cicp\0\0\0\0\x01\x10\0\x01" in icc
    assert decode(avif(9, 18)).notes[0].startswith("HLG (HDR)")


def test_broken_boxes_cost_no_more_than_what_they_say() -> None:
    data = avif(12, 13)
    for kind in (b"pitm", b"ipma", b"ipco", b"iprp"):
        place = data.index(kind) + 4
        for step in range(24):
            mutated = bytearray(data)
            mutated[place + step] ^= 0xFF
            with suppress(ImageError):
                decode(bytes(mutated))


def test_chunk_is_that_of_the_standard() -> None:
    with Image.open(io.BytesIO(DESCRIBED["png gama"][0])) as image:
        image.load()
        assert image.info["gamma"] == pytest.approx(1 / 1.8, abs=1e-5)
    assert chunk(*gamma(1.8))[4:8] == b"gAMA"
