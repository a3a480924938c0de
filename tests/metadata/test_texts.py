"""Texts of PNG and comments of JPEG come along, or are told to be lost."""

from __future__ import annotations

import io
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from arm_batch.core.image_options import Reading
from arm_batch.core.large_images import LargeImages
from arm_batch.images import Picture, decode, encode, fit_metadata
from arm_batch.images.streaming import StripWriter, open_strips
from arm_batch.images.streaming.writer import canvas_of
from arm_batch.metadata.texts import COMMENT
from tests.image_files import chunk, exif, saved, smooth, with_chunk

RGB8 = smooth(0)
STREAMED = LargeImages(pixels=1, streamed=1)
COMPRESSED = b"Story\0\0" + zlib.compress(b"a long one")
INTERNATIONAL = b"Titel\0\0\0de\0\0" + "Größe".encode()


def png_with_texts() -> bytes:
    data = saved(RGB8, "PNG", exif=exif(maker="M"))
    for kind, body in (
        (b"tEXt", b"Author\0someone"),
        (b"tEXt", b"Author\0someone else"),
        (b"zTXt", COMPRESSED),
        (b"iTXt", INTERNATIONAL),
    ):
        data = with_chunk(data, kind, body)
    # As ImageMagick and file managers write them, which count other pixels; and names that there may not be.
    for body in (b"exif:PixelXDimension\0" + b"60", b"Thumb::Image::Width\0" + b"60", b"\0nameless", b"x" * 80):
        data = with_chunk(data, b"tEXt", body)
    # After the pixels, as cameras and Photoshop do it.
    end = len(data) - 12
    return data[:end] + chunk(b"tEXt", b"Source\0a camera") + data[end:]


def jpeg_with_comments() -> bytes:
    data = saved(RGB8, "JPEG", exif=exif(maker="M"), comment=b"first \xe4")
    return data[:2] + b"\xff\xfe\x00\x08second" + data[2:] + b"\xff\xfe\x00\x07later"


SOURCES = {"png": png_with_texts(), "jpeg": jpeg_with_comments()}
KEPT = {
    "png": {
        (b"tEXt", b"Author\0someone"),
        (b"tEXt", b"Author\0someone else"),
        (b"zTXt", COMPRESSED),
        (b"iTXt", INTERNATIONAL),
        (b"tEXt", b"Source\0a camera"),
    },
    "jpeg": {(COMMENT, b"first \xe4"), (COMMENT, b"second")},
}
LOST = {
    "png": "texts in it are left out, as {} does not hold them: ",
    "jpeg": "texts in it are left out, as {} does not hold them: comment",
}


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff", "avif"])
@pytest.mark.parametrize("source", SOURCES)
def test_texts_come_along_or_are_told_to_be_lost(source: str, format: str) -> None:
    picture = decode(SOURCES[source])
    assert set(picture.metadata.texts) == KEPT[source]
    fitted = fit_metadata(picture, format)
    written = decode(encode(fitted, format))
    assert set(written.metadata.texts) == (KEPT[source] if source == format else set())
    told = [note for note in fitted.notes if note.startswith("texts in it")]
    assert len(told) == (source != format)
    assert all(note.startswith(LOST[source].format(format)) for note in told)
    assert written.metadata.exif is not None
    # Also of whoever did not ask what fits.
    assert set(decode(encode(picture, format)).metadata.texts) == set(written.metadata.texts)
    assert fit_metadata(replace(picture, metadata=picture.metadata.stripped()), format).metadata.texts == ()


def test_other_readers_find_them() -> None:
    with Image.open(io.BytesIO(encode(decode(SOURCES["png"]), "png"))) as image:
        assert image.info["Story"] == "a long one"
        assert image.info["Titel"] == "Größe"
        assert image.info["Source"] == "a camera"
    with Image.open(io.BytesIO(encode(decode(SOURCES["jpeg"]), "jpeg"))) as image:
        assert image.info["comment"] in (b"first \xe4", b"second")


@pytest.mark.parametrize("source", SOURCES)
def test_so_they_do_where_images_are_streamed(source: str, tmp_path: Path) -> None:
    strips = open_strips(io.BytesIO(SOURCES[source]), Reading(), STREAMED)
    assert set(strips.metadata.texts) == KEPT[source]
    path = tmp_path / "a"
    path.touch()
    with StripWriter(path, source, 95, canvas_of(strips, 1, False)) as writer:
        writer.add(strips.rows(0, strips.height))
    written = decode(path.read_bytes())
    assert set(written.metadata.texts) == KEPT[source]
    assert np.abs(written.pixels.astype(int) - decode(SOURCES[source]).pixels).mean() < 2


def test_a_note_names_some_of_many() -> None:
    data = saved(RGB8, "PNG")
    for number in range(7):
        data = with_chunk(data, b"tEXt", b"T%d\0text" % number)
    notes = fit_metadata(decode(data), "webp").notes
    assert notes == ("texts in it are left out, as webp does not hold them: T6, T5, T4, T3, T2 and 2 more",)


def test_a_damaged_text_is_none() -> None:
    data = bytearray(with_chunk(saved(RGB8, "PNG"), b"tEXt", b"Author\0someone"))
    data[data.index(b"someone")] ^= 1
    assert decode(bytes(data)).metadata.texts == ()


def test_a_comment_of_gif_is_told_to_be_lost() -> None:
    grey = Image.fromarray(RGB8[..., 0])
    assert decode(saved(grey, "GIF", comment=b"by someone")).notes == ("its comment is left out",)
    assert decode(saved(grey, "GIF")).notes == ()


def test_a_picture_of_no_file_has_none() -> None:
    assert decode(encode(Picture.plain(RGB8), "png")).metadata.texts == ()
