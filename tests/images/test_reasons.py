"""Reasons of failed rows say what kind of file it is and what is wrong, whatever a decoder raised."""

from __future__ import annotations

import struct
import zlib

import pytest
from PIL import Image

from arm_batch.errors import ImageError
from arm_batch.images import decode
from arm_batch.images.reasons import reading_failed, writing_failed
from arm_batch.images.vips import VipsError

HEADER = "what its header says does not fit together"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OverflowError("Python int too large to convert to C ssize_t"), "a size in it is far too large"),
        (ValueError("Python int too large to convert to C long"), HEADER),
        (ValueError("not enough values to unpack (expected 2, got 0)"), HEADER),
        (KeyError(259), HEADER),
        (IndexError("list index out of range"), HEADER),
        (TypeError("'NoneType' object is not subscriptable"), HEADER),
        (struct.error("unpack requires a buffer of 4 bytes"), HEADER),
        (AssertionError(), HEADER),
        (RecursionError("maximum recursion depth exceeded"), HEADER),
        (zlib.error("Error -3 while decompressing data"), "its compressed data is damaged"),
        (EOFError(), "it ends too early"),
        (OSError("broken data stream when reading image file"), "its data is damaged"),
        (OSError("cannot identify image file <_io.BytesIO object at 0x7f>"), "its header is broken"),
        (OSError("-2"), "its data is damaged"),
        (VipsError("unable to load", ""), "its data is damaged"),
        (VipsError("unable to load", "tiff2vips: bad\ntiff2vips: bad\n"), "tiff2vips: bad"),
        (
            OSError("image file is truncated (12 bytes not processed)"),
            "image file is truncated (12 bytes not processed)",
        ),
    ],
    ids=repr,
)
def test_what_a_decoder_raised_in_words(error: Exception, words: str) -> None:
    assert reading_failed(error, "jp2-lossless") == f"cannot be decoded as JPEG 2000: {words}"
    assert reading_failed(error) == f"cannot be decoded: {words}"


def test_what_an_encoder_raised_in_words() -> None:
    told = writing_failed(OverflowError("Python int too large to convert to C ssize_t"), "tiff")
    assert told == "cannot be written as tiff: its size or metadata does not fit that format"
    assert (
        writing_failed(VipsError("", "webpsave: too large\n"), "webp")
        == "cannot be written as webp: webpsave: too large"
    )


def test_an_error_of_python_becomes_words_in_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Image.Image:
        raise OverflowError("Python int too large to convert to C ssize_t")

    monkeypatch.setattr(Image, "open", broken)
    with pytest.raises(ImageError, match=r"^cannot be decoded as GIF: a size in it is far too large$"):
        decode(b"GIF89a" + bytes(40))
