"""What is beside the pixels of images that are read and written in strips: the same as of others."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from arm_batch.core.image_options import Reading
from arm_batch.core.large_images import LargeImages
from arm_batch.images import decode
from arm_batch.images.streaming import StripWriter, open_strips
from arm_batch.images.streaming.writer import Canvas, canvas_of
from arm_batch.images.vips import from_array, set_blob
from arm_batch.metadata import Metadata, enlarge_metadata
from tests import exif_blocks as blocks
from tests.exif_blocks import MAKERS, Seen
from tests.image_files import saved, smooth, tiff
from tests.metadata.exif.test_round_trip import camera
from tests.metadata.test_described import DESCRIBED, SRGB_IN_WORDS
from tests.metadata.test_xmp import packet, sources

STREAMED = LargeImages(pixels=1, streamed=1)
RGB8 = smooth(0)
HEIGHT, WIDTH = RGB8.shape[:2]

IN_STRIPS = {
    name: data
    for name, data in {**{name: case[0] for name, case in DESCRIBED.items()}, **SRGB_IN_WORDS}.items()
    if data[:3] in (b"\x89PN", b"\xff\xd8\xff", b"II*", b"MM\0")
}


def read_all(data: bytes, reading: Reading) -> tuple[Any, np.ndarray]:
    strips = open_strips(io.BytesIO(data), reading, STREAMED)
    tops = range(0, strips.height, 7)
    return strips, np.concatenate([strips.rows(top, min(top + 7, strips.height)) for top in tops])


@pytest.mark.parametrize("to_srgb", [False, True])
@pytest.mark.parametrize("name", IN_STRIPS)
def test_colours_are_read_as_at_once(name: str, to_srgb: bool) -> None:
    reading = Reading(to_srgb=to_srgb)
    picture = decode(IN_STRIPS[name], reading)
    strips, rows = read_all(IN_STRIPS[name], reading)
    np.testing.assert_array_equal(rows, picture.pixels)
    assert (strips.metadata, strips.notes) == (picture.metadata, picture.notes)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_exif_and_xmp_are_read_as_at_once(format: str) -> None:
    options = {} if format == "PNG" else {"xmp": packet(' GPano:FullPanoWidthPixels="60"')}
    data = saved(RGB8, format, exif=camera("<", "canon").build(), dpi=(300, 300), **options)
    strips, _ = read_all(data, Reading())
    assert strips.metadata == decode(data).metadata


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_an_orientation_is_kept_wherever_it_stands(orientation: int, tmp_path: Path) -> None:
    for name, data in sources(orientation).items():
        if name == "webp":
            continue
        strips, rows = read_all(data, Reading())
        assert strips.orientation == orientation
        assert len(strips.notes) == (orientation != 1)
        canvas = canvas_of(strips, 1, False)
        for format in ("png", "tiff", "jpeg"):
            again = decode(written(tmp_path / format, format, rows, canvas))
            expected = decode(data)
            assert again.pixels.shape == expected.pixels.shape
            assert np.abs(again.pixels.astype(int) - expected.pixels).mean() < 2
            assert (again.metadata.exif or b"").count(b"Maker") == (expected.metadata.exif or b"").count(b"Maker")


def written(path: Path, format: str, rows: np.ndarray, canvas: Canvas) -> bytes:
    path.write_bytes(b"")
    with StripWriter(path, format, 95, canvas) as writer:
        writer.add(rows)
    return path.read_bytes()


@pytest.mark.parametrize("format", ["png", "jpeg", "tiff"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("maker", ["canon", "nikon-3-big"])
def test_exif_is_written_as_at_once(format: str, order: str, maker: str, tmp_path: Path) -> None:
    before = Seen.of(camera(order, maker).build())
    source = decode(saved(RGB8, "JPEG", exif=camera(order, maker).build())).metadata
    metadata = enlarge_metadata(source, 1, WIDTH, HEIGHT)
    canvas = Canvas(
        height=HEIGHT,
        width=WIDTH,
        colours=3,
        planes=0,
        has_alpha=False,
        dtype=np.dtype(np.uint8),
        metadata=metadata,
    )
    data = written(tmp_path / "a", format, RGB8, canvas)
    after = Seen.of((decode(data).metadata.exif if format == "tiff" else blocks.exif_in(data)) or b"")
    with Image.open(io.BytesIO(data)) as image:
        # Another reader's word for it.
        assert image.getexif().get_ifd(0x8769)[0xA405] == 35
    kept = format != "tiff" or MAKERS[maker].base != "block"
    assert set(after.details) == set(before.details) - (set() if kept else {blocks.NOTE})
    assert set(after.interop) == set(before.interop)
    if kept:
        assert after.note_at is not None
        assert MAKERS[maker].read(after.tiff, after.note_at, order) == camera(order, maker).notes
    assert decode(data).metadata.dpi == pytest.approx((300, 300))


@pytest.mark.parametrize("format", ["png", "jpeg", "tiff"])
def test_nothing_is_made_up(format: str, tmp_path: Path) -> None:
    canvas = Canvas(
        height=HEIGHT,
        width=WIDTH,
        colours=3,
        planes=0,
        has_alpha=False,
        dtype=np.dtype(np.uint8),
        metadata=Metadata(),
    )
    assert decode(written(tmp_path / "a", format, RGB8, canvas)).metadata == Metadata()
    known = Canvas(
        height=HEIGHT,
        width=WIDTH,
        colours=3,
        planes=0,
        has_alpha=False,
        dtype=np.dtype(np.uint8),
        metadata=Metadata(dpi=(200, 100)),
    )
    assert decode(written(tmp_path / "b", format, RGB8, known)).metadata.dpi == pytest.approx((200, 100), abs=0.02)


def test_what_counts_pixels_counts_those_of_the_output() -> None:
    data = saved(RGB8, "JPEG", exif=camera("<").build(), xmp=packet(' GPano:FullPanoWidthPixels="60"'))
    strips, _ = read_all(data, Reading())
    canvas = canvas_of(strips, 4, False)
    after = Seen.of(canvas.metadata.exif or b"")
    assert after.details[0xA002] == blocks.short("<", 4 * WIDTH)
    assert canvas.metadata.xmp == packet(' GPano:FullPanoWidthPixels="240"')


def test_a_lost_iptc_block_is_told() -> None:
    image = from_array(RGB8, "rgb")
    block = b"\x1c\x02\x78\0\x05hello"
    photoshop = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + len(block).to_bytes(4, "big") + block
    set_blob(image, "iptc-data", photoshop)
    for data in (
        image.jpegsave_buffer(keep="iptc"),
        tiff(RGB8, photometric="rgb", extratags=[(33723, 7, len(block), block, True)]),
    ):
        for notes in (decode(data).notes, read_all(data, Reading())[0].notes):
            assert notes == ("its IPTC block is left out",)
