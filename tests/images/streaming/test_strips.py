"""Reading and writing in strips, against reading and writing at once."""

from __future__ import annotations

import io
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from arm_batch.core.image_options import Reading
from arm_batch.core.large_images import LargeImages
from arm_batch.errors import ImageError, StoreError
from arm_batch.images import Picture, decode, encode
from arm_batch.images.streaming import StripWriter, choose_strip_format, open_strips, probe_size, read_through
from arm_batch.images.streaming.window import Window
from arm_batch.images.streaming.writer import Canvas
from arm_batch.images.vips import from_array
from arm_batch.metadata import Metadata
from tests.image_files import tiff

STREAMED = LargeImages(pixels=1, streamed=1)
READING = Reading()


def noise(height: int, width: int, channels: int, dtype: type = np.uint8) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def read_all(data: bytes, reading: Reading = READING, step: int = 37) -> tuple[Any, np.ndarray]:
    strips = open_strips(io.BytesIO(data), reading, STREAMED)
    tops = range(0, strips.height, step)
    return strips, np.concatenate([strips.rows(top, min(top + step, strips.height)) for top in tops])


def saved(saver: str, array: np.ndarray, interpretation: str = "rgb", **options: Any) -> bytes:
    return bytes(getattr(from_array(array, interpretation), f"{saver}save_buffer")(**options))


def bilevel() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise(500, 33, 1)[..., 0]).convert("1").save(buffer, "TIFF", compression="group4")
    return buffer.getvalue()


def palette(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise(500, 33, 3)).quantize(17).save(buffer, kind)
    return buffer.getvalue()


def grey_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise(300, 33, 1)[..., 0]).save(buffer, "JPEG")
    return buffer.getvalue()


def cmyk_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise(300, 33, 4), "CMYK").save(buffer, "JPEG")
    return buffer.getvalue()


FILES: dict[str, bytes] = {
    "tiff, strips": saved("tiff", noise(600, 45, 3), compression="deflate", predictor="horizontal"),
    "tiff, tiles behind the tags": tiff(noise(600, 45, 3), photometric="rgb", tile=(64, 32)),
    "tiff, tiles": saved("tiff", noise(600, 45, 3), tile=True, tile_width=32, tile_height=64, bigtiff=True),
    "tiff, 16 bits": saved("tiff", noise(300, 45, 3, np.uint16), compression="lzw"),
    "tiff, grey": saved("tiff", noise(300, 45, 1), "grey"),
    "tiff, five bands": saved("tiff", noise(300, 45, 5)),
    "tiff, cmyk": saved("tiff", noise(300, 45, 4), "cmyk"),
    "tiff, bilevel": bilevel(),
    "tiff, palette": palette("TIFF"),
    "png": saved("png", noise(600, 45, 3)),
    "png, alpha": encode(
        Picture(pixels=noise(300, 45, 3), planes=1 + noise(300, 45, 1) // 2, has_alpha=True), "png"
    ),
    "png, 16 bits": saved("png", noise(300, 45, 1, np.uint16), "grey"),
    "png, palette": palette("PNG"),
    "jpeg": saved("jpeg", noise(600, 45, 3), Q=90),
    "jpeg, grey": grey_jpeg(),
    "jpeg, cmyk": cmyk_jpeg(),
}


@pytest.mark.parametrize("name", FILES)
def test_strips_are_what_decoding_at_once_gives(name: str) -> None:
    picture = decode(FILES[name], READING)
    strips, rows = read_all(FILES[name])
    expected = np.concatenate([picture.pixels, picture.planes], axis=2)
    np.testing.assert_array_equal(rows, expected)
    assert (strips.height, strips.width, strips.colours, strips.planes) == (
        *picture.pixels.shape,
        picture.planes.shape[2],
    )
    assert (strips.dtype, strips.format, strips.has_alpha) == (rows.dtype, picture.format, picture.has_alpha)
    assert strips.notes == picture.notes
    assert strips.metadata.icc == picture.metadata.icc
    size = probe_size(io.BytesIO(FILES[name]), READING)
    assert size == rows.shape[:2]


@pytest.mark.parametrize("name", ["tiff, strips", "tiff, tiles", "tiff, tiles behind the tags", "png", "jpeg"])
@pytest.mark.parametrize("kept", [0.3, 0.8])
def test_files_that_end_early_are_images_that_fail(name: str, kept: float) -> None:
    data = FILES[name][: int(len(FILES[name]) * kept)]
    with pytest.raises(ImageError):
        read_through(open_strips(io.BytesIO(data), READING, STREAMED))


@pytest.mark.parametrize("name", ["tiff, strips", "png"])
def test_garbled_files_are_images_that_fail(name: str) -> None:
    data = bytearray(FILES[name])
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    with pytest.raises(ImageError):
        read_through(open_strips(io.BytesIO(bytes(data)), READING, STREAMED))


def test_jpeg_files_with_a_hole_are_images_that_fail() -> None:
    data = FILES["jpeg"]
    hole = data[: len(data) // 2] + data[-2:]
    with pytest.raises(ImageError, match="is damaged: premature end of data segment"):
        read_through(open_strips(io.BytesIO(hole), READING, STREAMED))


def test_what_the_stream_raises_is_not_taken_for_a_broken_image() -> None:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 20_000:
                raise StoreError("the disk fails")
            return super().read(size)

    for name in ("tiff, strips", "png", "jpeg"):
        with pytest.raises(StoreError, match="the disk fails"):
            read_through(open_strips(Breaking(FILES[name]), READING, STREAMED))


def test_what_cannot_be_read_in_strips_is_refused_with_the_way_out() -> None:
    webp = saved("webp", noise(64, 64, 3))
    png = saved("png", noise(64, 64, 3), interlace=True)
    jpeg = saved("jpeg", noise(64, 64, 3), interlace=True)
    for data, told in ((webp, "too large for webp"), (png, "interlaced png"), (jpeg, "interlaced jpeg")):
        assert probe_size(io.BytesIO(data), READING) == (64, 64)
        with pytest.raises(ImageError, match=told):
            open_strips(io.BytesIO(data), READING, STREAMED)
        assert read_all_at_once(data).shape == (64, 64, 3)


def read_all_at_once(data: bytes) -> np.ndarray:
    strips = open_strips(io.BytesIO(data), READING, LargeImages())
    return strips.rows(0, strips.height)


def test_the_limit_on_pixels_holds_before_anything_is_decoded() -> None:
    with pytest.raises(ImageError, match="45 x 600 px are more than the 26,999 allowed"):
        open_strips(io.BytesIO(FILES["png"][:2000]), Reading(max_pixels=26_999), STREAMED)


def test_headers_that_do_not_tell_leave_it_to_the_decoder() -> None:
    for data in (b"", b"no image", FILES["tiff, strips"][:10], FILES["jpeg"][:30]):
        assert probe_size(io.BytesIO(data), READING) is None
        with pytest.raises(ImageError):
            open_strips(io.BytesIO(data), READING, STREAMED)


def test_colours_under_full_transparency_are_replaced() -> None:
    alpha = np.full((300, 45, 1), 255, np.uint8)
    alpha[:, 20:25] = 0
    pixels = np.full((300, 45, 3), 200, np.uint8)
    pixels[:, 20:25] = 0
    data = bytes(from_array(np.concatenate([pixels, alpha], axis=2), "rgb").pngsave_buffer())
    strips, rows = read_all(data)
    assert strips.has_alpha
    assert (rows[..., :3] == 200).all()
    np.testing.assert_array_equal(rows[..., 3:], alpha)


def test_orientation_is_kept_and_said() -> None:
    image = from_array(noise(60, 45, 3), "rgb").copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    for saver in ("tiff", "jpeg", "png"):
        strips, rows = read_all(bytes(getattr(image, f"{saver}save_buffer")()))
        assert (rows.shape, strips.orientation) == ((60, 45, 3), 6)
        assert "orientation, 6" in strips.notes[-1]


@given(
    st.integers(1, 40), st.integers(1, 9), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=9)
)
def test_windows_give_what_they_are_asked_for_and_read_once(
    height: int, strip: int, steps: list[tuple[int, int]]
) -> None:
    image = np.arange(height)[:, None, None]
    read: list[int] = []

    def strips(start: int, stop: int) -> np.ndarray:
        assert start == len(read)
        read.extend(range(start, stop))
        return image[start:stop]

    window = Window(strips, height, strip)
    start = stop = 0
    for forward, more in steps:
        start = min(start + forward, height - 1)
        stop = min(max(start + 1, stop + more), height)
        np.testing.assert_array_equal(window(start, stop), image[start:stop])
        assert len(read) < stop + strip


def test_windows_do_not_go_back() -> None:
    window = Window(lambda start, stop: np.zeros((stop - start, 1, 1)), 100, 10)
    window(50, 60)
    with pytest.raises(ValueError, match="rows 39 to 45"):
        window(39, 45)


def written(
    path: Path, format: str, array: np.ndarray, colours: int, has_alpha: bool = False, **more: Any
) -> bytes:
    height, width, channels = array.shape
    canvas = Canvas(
        height=height,
        width=width,
        colours=colours,
        planes=channels - colours,
        has_alpha=has_alpha,
        dtype=array.dtype,
        **{"metadata": Metadata(), **more},
    )
    path.write_bytes(b"")
    with StripWriter(path, format, 95, canvas) as writer:
        for top in range(0, height, 70):
            writer.add(array[top : top + 70])
    return path.read_bytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("format", "colours", "channels"),
    [("tiff", 1, 1), ("tiff", 3, 3), ("tiff", 3, 6), ("tiff", 1, 2), ("png", 3, 3), ("png", 3, 4), ("png", 1, 1)],
)
def test_what_is_written_in_strips_is_read_back(
    tmp_path: Path, format: str, colours: int, channels: int, dtype: type[np.uint8 | np.uint16]
) -> None:
    array = noise(300, 517, channels, dtype)
    # Where alpha is nothing, decoding would replace the colours.
    array[..., colours:] |= 1
    exif = Image.Exif()
    exif[0x010F] = "maker"
    metadata = Metadata(exif=exif.tobytes(), xmp=b"<x:xmpmeta/>", dpi=(300.0, 300.0))
    data = written(tmp_path / "a", format, array, colours, channels > colours, metadata=metadata)
    picture = decode(data)
    np.testing.assert_array_equal(np.concatenate([picture.pixels, picture.planes], axis=2), array)
    assert picture.has_alpha == (channels > colours)
    assert picture.metadata.xmp == metadata.xmp
    assert b"maker" in (picture.metadata.exif or b"")
    assert picture.metadata.dpi == pytest.approx((300, 300), rel=1e-3)
    assert data == written(tmp_path / "b", format, array, colours, channels > colours, metadata=metadata)


def test_jpeg_is_written_with_its_profile_and_orientation(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    y, x = np.mgrid[:300, :517]
    array = np.stack([x // 3, y // 2, (x + y) // 4], axis=2).astype(np.uint8)
    data = written(tmp_path / "a", "jpeg", array, 3, metadata=Metadata(icc=profile), orientation=8)
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif()[0x0112] == 8
        assert image.info["icc_profile"] == profile
        assert np.abs(np.asarray(image).astype(int) - array).mean() < 2


def write_noise(path: Path, format: str, canvas: Canvas, rows: int) -> None:
    with StripWriter(path, format, 95, canvas) as writer:
        for _ in range(0, rows, 30):
            writer.add(noise(30, canvas.width, canvas.colours))


def test_a_writer_that_cannot_write_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canvas = Canvas(
        height=3000,
        width=1000,
        colours=3,
        planes=0,
        has_alpha=False,
        dtype=np.dtype(np.uint8),
        metadata=Metadata(),
    )
    path = tmp_path / "a"
    with pytest.raises(StoreError, match="No such file"):
        write_noise(tmp_path / "swept" / "a", "tiff", canvas, 3000)
    with pytest.raises(ImageError, match="cannot be written as jpeg"):
        write_noise(path, "jpeg", replace(canvas, width=70_000, height=90), 90)
    with pytest.raises(ImageError, match="cannot be written as png"):
        write_noise(path, "png", canvas, 2970)
    # Both sides fail alike on a full disk, and it is told by what is left of it.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(StoreError, match="no space left"):
        write_noise(path, "jpeg", replace(canvas, width=70_000, height=90), 90)


def test_a_writer_that_is_given_up_ends(tmp_path: Path) -> None:
    canvas = Canvas(
        height=3000,
        width=1000,
        colours=3,
        planes=0,
        has_alpha=False,
        dtype=np.dtype(np.uint8),
        metadata=Metadata(),
    )

    def give_up() -> None:
        with StripWriter(tmp_path / "a", "tiff", 95, canvas) as writer:
            writer.add(noise(30, 1000, 3))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        give_up()
    assert not any("_save" in thread.name for thread in threading.enumerate())


def test_giants_fall_back_to_tiff() -> None:
    def chosen(wanted: str, width: int) -> tuple[str, str | None]:
        canvas = Canvas(
            height=20_000,
            width=width,
            colours=3,
            planes=0,
            has_alpha=False,
            dtype=np.dtype(np.uint8),
            metadata=Metadata(),
        )
        return choose_strip_format(wanted, "jpeg", canvas)

    assert chosen("auto", 20_000) == ("jpeg", None)
    assert chosen("png", 20_000) == ("png", None)
    assert chosen("auto", 70_000) == ("tiff", "written as tiff: 70000 x 20000 px do not fit into jpeg")
    assert chosen("webp", 20_000) == ("tiff", "written as tiff: 20000 x 20000 px do not fit into webp")
    with pytest.raises(ImageError, match="any format"):
        chosen("tiff", 20_000_000)
