"""Colours of AVIF files whose container says nothing of them."""

from __future__ import annotations

import pytest
from PIL import Image

from arm_batch.core.image_options import Reading
from arm_batch.images import decode
from arm_batch.metadata.av1 import colour_codes
from arm_batch.metadata.boxes import primary_item
from tests.image_files import saved, smooth
from tests.metadata.test_described import avif

RGB8 = smooth(0)
LARGE = smooth(1, 300, 500)
SAID = (1, 13)
"""By Pillow."""

FILES = {
    "still": saved(RGB8, "AVIF"),
    "large": saved(LARGE, "AVIF"),
    "grey": saved(smooth(0, channels=1), "AVIF", subsampling="4:0:0"),
    "full chroma": saved(RGB8, "AVIF", subsampling="4:4:4", quality=100),
    "animated": saved(
        Image.fromarray(RGB8), "AVIF", save_all=True, append_images=[Image.fromarray(RGB8[::-1].copy())]
    ),
}


def told_by_the_stream_alone(data: bytes, primaries: int, transfer: int) -> bytes:
    """With these codes in the stream, and no box for them."""
    stream = primary_item(data)
    bits = f"{int.from_bytes(stream[:40], 'big'):0320b}"
    place = bits.index(f"{SAID[0]:08b}{SAID[1]:08b}")
    bits = bits[:place] + f"{primaries:08b}{transfer:08b}" + bits[place + 16 :]
    changed = int(bits, 2).to_bytes(40, "big") + stream[40:]
    return data.replace(stream, changed).replace(b"colrnclx", b"freenclx")


@pytest.mark.parametrize("name", FILES)
def test_codes_are_found_in_the_stream(name: str) -> None:
    stream = primary_item(FILES[name])
    assert colour_codes(stream) == SAID
    assert colour_codes(b"\x12\0" + stream.removeprefix(b"\x12\0")) == SAID
    changed = told_by_the_stream_alone(FILES[name], 12, 16)
    assert colour_codes(primary_item(changed)) == (12, 16)


@pytest.mark.parametrize("name", ["still", "large", "full chroma"])
def test_they_are_as_good_as_a_box(name: str) -> None:
    silent = told_by_the_stream_alone(FILES[name], 12, 13)
    picture = decode(silent)
    assert picture.metadata.icc is not None
    assert picture.metadata.icc == decode(avif(12, 13)).metadata.icc
    converted = decode(silent, Reading(to_srgb=True))
    assert converted.metadata.icc is None
    assert (converted.pixels != picture.pixels).any()
    assert decode(told_by_the_stream_alone(FILES[name], 1, 13)).metadata.icc is None


def test_a_box_goes_before_the_stream() -> None:
    data = told_by_the_stream_alone(FILES["still"], 9, 16).replace(b"freenclx", b"colrnclx")
    assert decode(data).metadata.icc is None


@pytest.mark.parametrize(
    "stream", [b"", b"\x0a", b"\x0a\x03\x18\0\0", b"\x12\0" * 20, bytes(9), b"\x0a" + b"\xff" * 12]
)
def test_what_is_no_stream_says_nothing(stream: bytes) -> None:
    assert colour_codes(stream) is None


def test_a_stream_that_is_cut_says_nothing() -> None:
    stream = primary_item(FILES["animated"])
    for end in range(8):
        assert colour_codes(stream[:end]) is None
