"""EXIF and XMP from file to file, in every pair of formats."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from arm_batch.images import FORMATS, Picture, decode, encode, fit_metadata
from arm_batch.metadata import Metadata, enlarge_metadata
from arm_batch.metadata.xmp import lasting_xmp
from tests.image_files import GREY_GAMMA, SRGB, saved, smooth, tiff, with_alpha, with_chunk

RGB8 = smooth(0)

XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description dc:source="here"'
    b"%s>%s</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def read_exif(block: bytes) -> Image.Exif:
    """By Pillow."""
    exif = Image.Exif()
    exif.load(block)
    return exif


def block() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x8298], exif[0x0131], exif[0x0112] = "Maker", "(c) me", "Editor 1", 6
    exif[0x011A], exif[0x011B], exif[0x0128] = IFDRational(300), IFDRational(200), 2
    exif[0x0100], exif[0x0101] = 60, 40
    details = exif.get_ifd(0x8769)
    details[0x9003], details[0xA002], details[0xA003] = "2020:01:02 03:04:05", 60, 40
    details[0x829A], details[0x927C] = IFDRational(1, 125), b"MAKER NOTE"
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (IFDRational(48), IFDRational(8), IFDRational(14))
    return exif.tobytes()


SOURCES = {
    "jpeg": saved(RGB8, "JPEG", exif=block(), icc_profile=SRGB, xmp=XMP % (b"", b"")),
    "png": saved(RGB8, "PNG", exif=block(), icc_profile=SRGB),
    "webp": saved(RGB8, "WEBP", exif=block(), icc_profile=SRGB, xmp=XMP % (b"", b"")),
    "tiff": saved(RGB8, "TIFF", exif=block(), icc_profile=SRGB),
    "avif": saved(RGB8, "AVIF", exif=block(), icc_profile=SRGB, xmp=XMP % (b"", b"")),
}


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", SOURCES)
def test_metadata_survive(source: str, target: str) -> None:
    picture = decode(SOURCES[source])
    metadata = enlarge_metadata(picture.metadata, 2, 80, 120)
    upscaled = Picture(
        pixels=np.repeat(np.repeat(picture.pixels, 2, 0), 2, 1), planes=picture.planes, metadata=metadata
    )
    data = encode(fit_metadata(upscaled, target), target)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (80, 120)
        exif = image.getexif()
        assert (exif[0x010F], exif[0x8298], exif[0x0131]) == ("Maker", "(c) me", "Editor 1")
        assert exif.get(0x0112, 1) == 1
        # Turned with the image.
        assert (float(exif[0x011A]), float(exif[0x011B])) == pytest.approx((200, 300), abs=0.1)
        details = exif.get_ifd(0x8769)
        assert details[0x9003] == "2020:01:02 03:04:05"
        assert details[0x927C] == b"MAKER NOTE"
        assert float(details[0x829A]) == 1 / 125
        assert (details[0xA002], details[0xA003]) == (80, 120)
        assert tuple(map(float, exif.get_ifd(0x8825)[2])) == (48, 8, 14)
        assert image.info["icc_profile"] == SRGB
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    packet = xmp if isinstance(xmp, bytes) else str(xmp).encode()
    assert (b"here" in packet) == (picture.metadata.xmp is not None)
    again = decode(data)
    assert again.metadata.dpi == pytest.approx((200, 300), abs=0.1)
    assert again.metadata.xmp == picture.metadata.xmp


@pytest.mark.parametrize("format", FORMATS)
def test_without_metadata_none_are_made_up(format: str) -> None:
    for metadata in (Metadata(), decode(SOURCES["jpeg"]).metadata.stripped()):
        again = decode(
            encode(Picture(pixels=RGB8, planes=np.empty((40, 60, 0), np.uint8), metadata=metadata), format)
        ).metadata
        assert (again.exif, again.xmp, again.icc) == (None, None, metadata.icc)


def test_thumbnails_are_dropped() -> None:
    thumbnail = saved(smooth(1), "JPEG")
    pieces = block()
    # A second directory, as cameras append it, which points to a small JPEG.
    tiff_part = bytearray(pieces.removeprefix(b"Exif\0\0"))
    order: Literal["big", "little"] = "big" if tiff_part[:2] == b"MM" else "little"
    first = int.from_bytes(tiff_part[4:8], order)
    link = first + 2 + 12 * int.from_bytes(tiff_part[first : first + 2], order)
    second = len(tiff_part) + len(tiff_part) % 2
    tiff_part[link : link + 4] = second.to_bytes(4, order)
    entries = [(0x0201, 4, 1, second + 30), (0x0202, 4, 1, len(thumbnail))]
    tiff_part = tiff_part.ljust(second, b"\0") + len(entries).to_bytes(2, order)
    for tag, kind, count, value in entries:
        tiff_part += tag.to_bytes(2, order) + kind.to_bytes(2, order) + count.to_bytes(4, order)
        tiff_part += value.to_bytes(4, order)
    data = saved(RGB8, "JPEG", exif=b"Exif\0\0" + bytes(tiff_part) + bytes(4) + thumbnail)
    assert thumbnail in data
    picture = decode(data)
    for format in FORMATS:
        written = encode(picture, format)
        assert thumbnail[:200] not in written
        assert read_exif(decode(written).metadata.exif or b"")[0x010F] == "Maker"


@pytest.mark.parametrize(
    ("attributes", "elements"),
    [
        (b' tiff:Orientation="6" exif:PixelXDimension="60"', b""),
        (b" tiff:ImageWidth='60'", b"<exif:PixelYDimension>40</exif:PixelYDimension>"),
        (b"", b"<xmp:Thumbnails><rdf:Alt>\n<rdf:li>data</rdf:li></rdf:Alt></xmp:Thumbnails>"),
    ],
)
def test_what_no_longer_holds_leaves_xmp(attributes: bytes, elements: bytes) -> None:
    notes: list[str] = []
    assert (lasting_xmp(XMP % (attributes, elements), notes), notes) == (XMP % (b"", b""), [])


def test_resolution_without_exif() -> None:
    for format in ("PNG", "JPEG", "TIFF"):
        picture = decode(saved(RGB8, format, dpi=(150, 150)))
        assert picture.metadata.dpi == pytest.approx((150, 150), abs=0.1)
        assert decode(encode(picture, "tiff")).metadata.dpi == pytest.approx((150, 150), abs=0.1)
    assert decode(saved(RGB8, "JPEG")).metadata.dpi is None
    assert decode(saved(RGB8, "PNG")).metadata.dpi is None


BROKEN = [b"MM\0*\0\0\0\x08\xff\xff" + bytes(range(200)), b"nonsense" * 9, b"II*\0\xff\0\0\0"]


@pytest.mark.parametrize("broken", BROKEN, ids=["entries", "header", "offset"])
def test_broken_exif_costs_the_exif_alone(broken: bytes) -> None:
    for format in ("JPEG", "WEBP"):
        picture = decode(saved(RGB8, format, exif=b"Exif\0\0" + broken))
        assert picture.pixels.shape == RGB8.shape
        assert encode(picture, "tiff")
    assert decode(with_chunk(saved(RGB8, "PNG"), b"eXIf", broken)).pixels.shape == RGB8.shape


def test_what_is_too_long_is_dropped_with_a_note() -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    metadata = Metadata(icc=SRGB, exif=exif.tobytes(), xmp=XMP % (b"", b"y" * 70_000))
    picture = Picture(pixels=RGB8, planes=np.empty((40, 60, 0), np.uint8), metadata=metadata, notes=("before",))
    fitted = fit_metadata(picture, "jpeg")
    assert (fitted.metadata.exif, fitted.metadata.xmp, fitted.metadata.icc) == (None, None, SRGB)
    assert [note[:8] for note in fitted.notes] == ["before", "its EXIF", "its XMP "]
    decode(encode(fitted, "jpeg"))
    for format in ("png", "webp", "tiff", "avif"):
        fitted = fit_metadata(picture, format)
        again = decode(encode(fitted, format))
        assert again.metadata.xmp == metadata.xmp
        assert read_exif(again.metadata.exif or b"")[0x010E] == "x" * 70_000
        assert fitted.notes == ("before",)


@pytest.mark.parametrize("format", ["webp", "avif"])
def test_a_grey_profile_is_applied_where_there_is_no_grey(format: str) -> None:
    picture = decode(saved(RGB8[..., :1], "PNG", icc_profile=GREY_GAMMA))
    fitted = fit_metadata(picture, format)
    assert fitted.metadata.icc is None
    assert "converted to sRGB" in fitted.notes[0]
    again = decode(encode(fitted, format, 100))
    assert np.abs(again.pixels[..., 1:2].astype(int) - fitted.pixels).mean() < 2
    assert fit_metadata(picture, "png") == picture


def test_tiff_tags_of_large_files_and_planes() -> None:
    planes = smooth(5, channels=2)
    picture = Picture(pixels=RGB8, planes=planes, has_alpha=True, metadata=decode(SOURCES["tiff"]).metadata)
    again = decode(encode(picture, "tiff"))
    np.testing.assert_array_equal(again.pixels, RGB8)
    np.testing.assert_array_equal(again.planes, planes)
    assert again.has_alpha
    assert not decode(encode(Picture(pixels=RGB8, planes=planes), "tiff")).has_alpha
    rgba = with_alpha(RGB8, 3)
    big = decode(tiff(rgba, photometric="rgb", extrasamples=["unassalpha"], bigtiff=True, software="S"))
    assert read_exif(big.metadata.exif or b"")[0x0131] == "S"
