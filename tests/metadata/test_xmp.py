"""What of XMP still holds."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from arm_batch.core.image_options import Reading
from arm_batch.images import decode, encode
from arm_batch.metadata import enlarge_metadata
from arm_batch.metadata.xmp import enlarged_xmp, lasting_xmp, orientation_of_xmp
from tests.image_files import WIDE, saved, smooth

RGB8 = smooth(0)


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """As Pillow turns it."""
    exif = Image.Exif()
    exif[0x112] = orientation
    with Image.open(io.BytesIO(saved(pixels, "PNG", exif=exif))) as image:
        return np.asarray(ImageOps.exif_transpose(image))


NAMES = (
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
    'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" '
    'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" '
    'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
    'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" '
    'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
    'xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#" xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"'
)


def packet(attributes: str = "", elements: str = "") -> bytes:
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {NAMES}><rdf:Description rdf:about="" dc:source="here"'
        f"{attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


DIRECTORY = (
    "<Container:Directory><rdf:Seq><rdf:li><Container:Item Item:Semantic='Primary'/></rdf:li>"
    "</rdf:Seq></Container:Directory>"
)


@pytest.mark.parametrize(
    ("attributes", "elements"),
    [
        (' hdrgm:Version="1.0" hdrgm:GainMapMax="2"', ""),
        ("", "<hdrgm:GainMapMin><rdf:Seq><rdf:li>0</rdf:li></rdf:Seq></hdrgm:GainMapMin>"),
        (' GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1"', ""),
        (' GCamera:MicroVideo="1" GCamera:MicroVideoOffset="4096"', ""),
        ("", DIRECTORY),
        (' xmpNote:HasExtendedXMP="0123"', ""),
    ],
)
def test_what_points_to_parts_that_are_gone_goes_with_a_note(attributes: str, elements: str) -> None:
    notes: list[str] = []
    assert lasting_xmp(packet(attributes, elements), notes) == packet()
    assert [note[:24] for note in notes] == ["its XMP told of further "]


def test_a_packet_may_call_namespaces_as_it_likes() -> None:
    notes: list[str] = []
    renamed = packet(' hdrgm:Version="1.0" GPano:FullPanoWidthPixels="9"')
    renamed = renamed.replace(b"hdrgm", b"ns1").replace(b"GPano", b"ns2")
    left = packet(' GPano:FullPanoWidthPixels="36"').replace(b"hdrgm", b"ns1").replace(b"GPano", b"ns2")
    assert enlarged_xmp(lasting_xmp(renamed, notes), 4) == left
    assert len(notes) == 1
    # What is called so and is something else stays.
    other = packet(' tiff:Orientation="6"').replace(b"http://ns.adobe.com/tiff/1.0/", b"http://example.com/")
    assert orientation_of_xmp(other) == 6
    assert lasting_xmp(other, []) == packet().replace(b"http://ns.adobe.com/tiff/1.0/", b"http://example.com/")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (' GPano:CroppedAreaImageWidthPixels="128"', ' GPano:CroppedAreaImageWidthPixels="512"'),
        (' GPano:CroppedAreaLeftPixels="10"', ' GPano:CroppedAreaLeftPixels="40"'),
        (" GPano:LargestValidInteriorRectTop='7'", " GPano:LargestValidInteriorRectTop='28'"),
        (' exif:FocalPlaneXResolution="4000/3"', ' exif:FocalPlaneXResolution="16000/3"'),
        (' drone-dji:CalibratedFocalLength="3666.5"', ' drone-dji:CalibratedFocalLength="14666.0"'),
        (' stDim:w="60" stDim:h="40"', ' stDim:w="240" stDim:h="160"'),
        (' GPano:PoseHeadingDegrees="10"', ' GPano:PoseHeadingDegrees="10"'),
        (' GPano:FullPanoWidthPixels="wide"', ' GPano:FullPanoWidthPixels="wide"'),
    ],
)
def test_what_counts_pixels_counts_those_of_the_output(before: str, after: str) -> None:
    assert enlarged_xmp(packet(before), 4) == packet(after)
    name, _, value = before.strip().partition("=")
    if " " not in before.strip():
        value, new = value.strip("\"'"), after.strip().partition("=")[2].strip("\"'")
        element = f"<{name}>{{}}</{name}>"
        assert enlarged_xmp(packet("", element.format(value)), 4) == packet("", element.format(new))


def test_enlarging_a_picture_enlarges_its_panorama() -> None:
    picture = decode(saved(RGB8, "JPEG", xmp=packet(' GPano:FullPanoHeightPixels="40"')))
    assert enlarge_metadata(picture.metadata, 2, 120, 80).xmp == packet(' GPano:FullPanoHeightPixels="80"')


def raw_profile(kind: str, block: bytes) -> bytes:
    """A PNG file as ImageMagick wrote them."""
    info = PngInfo()
    digits = block.hex()
    lines = "\n".join(digits[place : place + 72] for place in range(0, len(digits), 72))
    info.add_text(f"Raw profile type {kind}", f"\n{kind}\n{len(block):8}\n{lines}\n", zip=True)
    return saved(RGB8, "PNG", pnginfo=info)


def sources(orientation: int) -> dict[str, bytes]:
    """Files of which only XMP, or a text, tells how they are to be turned."""
    xmp = packet(f' tiff:Orientation="{orientation}"')
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = orientation, "Maker"
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode(), zip=orientation % 2 == 0)
    return {
        "png": saved(RGB8, "PNG", pnginfo=info),
        "jpeg": saved(RGB8, "JPEG", quality=100, subsampling=0, xmp=xmp),
        "webp": saved(RGB8, "WEBP", lossless=True, xmp=xmp),
        "element": saved(
            RGB8,
            "JPEG",
            quality=100,
            subsampling=0,
            xmp=packet("", f"<tiff:Orientation>{orientation}</tiff:Orientation>"),
        ),
        "raw exif": raw_profile("exif", exif.tobytes()),
        "raw app1": raw_profile("APP1", exif.tobytes()),
        "raw xmp": raw_profile("xmp", xmp),
    }


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_that_xmp_or_a_text_tells_is_applied_and_taken_away(orientation: int) -> None:
    for name, data in sources(orientation).items():
        picture = decode(data)
        expected = turned(RGB8, orientation)
        assert np.abs(picture.pixels.astype(int) - expected).max() <= (3 if name in ("jpeg", "element") else 0)
        again = decode(encode(picture, "png"))
        np.testing.assert_array_equal(again.pixels, picture.pixels)
        assert b"Orientation" not in (picture.metadata.xmp or b"")


def test_exif_goes_before_xmp() -> None:
    exif = Image.Exif()
    exif[0x112] = 1
    picture = decode(saved(RGB8, "WEBP", lossless=True, exif=exif, xmp=packet(' tiff:Orientation="6"')))
    np.testing.assert_array_equal(picture.pixels, RGB8)


def test_metadata_behind_the_pixels_of_png_counts() -> None:
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = 3, "Maker"
    data = saved(RGB8, "PNG", exif=exif)
    start = data.index(b"eXIf") - 4
    size = int.from_bytes(data[start : start + 4], "big") + 12
    end = data.index(b"IEND") - 4
    moved = data[:start] + data[start + size : end] + data[start : start + size] + data[end:]
    picture = decode(moved)
    np.testing.assert_array_equal(picture.pixels, turned(RGB8, 3))
    assert b"Maker" in (picture.metadata.exif or b"")


def test_colours_that_became_srgb_are_not_called_otherwise() -> None:
    xmp = packet(' exif:ColorSpace="65535"')
    converted = decode(saved(RGB8, "JPEG", xmp=xmp, icc_profile=WIDE), Reading(to_srgb=True))
    assert converted.metadata.xmp == packet(' exif:ColorSpace="1"')
    assert decode(saved(RGB8, "JPEG", xmp=xmp, icc_profile=WIDE)).metadata.xmp == xmp


def test_the_packet_is_written_as_it_is() -> None:
    xmp = packet(' dc:format="image/jpeg"')
    for format in ("png", "jpeg", "webp", "tiff", "avif"):
        with Image.open(io.BytesIO(encode(decode(saved(RGB8, "JPEG", xmp=xmp)), format))) as image:
            written = image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()
            assert written == xmp
