"""Files that cannot be upscaled, or of which one would think so."""

from __future__ import annotations

import struct
import zlib

from tests.corpus.scenes import RGB, RGB16, RGBA, palette
from tests.image_files import chunk, opencv, png, saved, tiff, with_chunk

WHOLE = {
    "rgb.png": saved(RGB, "PNG"),
    "rgb16.png": opencv(".png", RGB16),
    "rgb.jpg": saved(RGB, "JPEG"),
    "progressive.jpg": saved(RGB, "JPEG", progressive=True),
    "rgb.tif": saved(RGB, "TIFF"),
    "deflate.tif": tiff(RGB, photometric="rgb", compression="zlib"),
    "tiles.tif": tiff(RGB16, photometric="rgb", tile=(16, 16)),
    "float64.tif": tiff(RGB16 / 65535, photometric="rgb"),
    "palette.gif": saved(palette(), "GIF"),
    "rgb.bmp": saved(RGB, "BMP"),
    "lossy.webp": saved(RGB, "WEBP"),
    "lossless.webp": saved(RGBA, "WEBP", lossless=True),
    "rgb.avif": saved(RGB, "AVIF"),
    "rgb.jp2": saved(RGB, "JPEG2000"),
    "rgb16.jp2": opencv(".jp2", RGB16),
}
"""What is cut at every tenth."""


def put(data: bytes, place: int, value: bytes) -> bytes:
    return data[:place] + value + data[place + len(value) :]


def behind(data: bytes, mark: bytes, distance: int, value: bytes) -> bytes:
    """With other bytes so far behind where `mark` begins."""
    return put(data, data.index(mark) + distance, value)


def jpeg_of(width: int, height: int) -> bytes:
    return behind(WHOLE["rgb.jpg"], b"\xff\xc0", 5, struct.pack(">HH", height, width))


def png_of(width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return put(WHOLE["rgb.png"], 8, header)


def tagged(data: bytes, tag: int, kind: int, count: int, value: int) -> bytes:
    """A little-endian TIFF file with another entry for a tag of its first directory."""
    start = struct.unpack_from("<I", data, 4)[0]
    for number in range(struct.unpack_from("<H", data, start)[0]):
        place = start + 2 + 12 * number
        if struct.unpack_from("<H", data, place)[0] == tag:
            return put(data, place, struct.pack("<HHII", tag, kind, count, value))
    raise KeyError(tag)


def linked(data: bytes, target: int | None) -> bytes:
    """Its first directory points to `target` as the next; None for itself."""
    start = struct.unpack_from("<I", data, 4)[0]
    end = start + 2 + 12 * struct.unpack_from("<H", data, start)[0]
    return put(data, end, struct.pack("<I", start if target is None else target))


TIFF, TILES = WHOLE["rgb.tif"], WHOLE["tiles.tif"]
LONG, SHORT = 4, 3

BOMBS = {
    "bomb.png": png_of(2**31 - 1, 2**31 - 1),
    "bomb16.png": png(60_000, 60_000, 16, 2, bytes(1000)),
    "bomb.jpg": jpeg_of(65_500, 65_500),
    "bomb.gif": put(WHOLE["palette.gif"], 6, struct.pack("<HH", 65_535, 65_535)),
    "bomb.bmp": put(WHOLE["rgb.bmp"], 18, struct.pack("<ii", 2**31 - 1, 2**31 - 1)),
    "bomb.tif": tagged(tagged(TIFF, 256, LONG, 1, 10**6), 257, LONG, 1, 10**6),
    "bomb-bands.tif": tiff(RGB[:2, :2].repeat(10**4, 2), photometric="minisblack", planarconfig="contig"),
    "bomb.webp": behind(WHOLE["lossy.webp"], b"\x9d\x01\x2a", 3, struct.pack("<HH", 16_383, 16_383)),
    "bomb-lossless.webp": behind(WHOLE["lossless.webp"], b"VP8L", 9, struct.pack("<I", 0x1FFFFFFF)),
    "bomb.avif": behind(WHOLE["rgb.avif"], b"ispe", 8, struct.pack(">II", 60_000, 60_000)),
    "bomb.jp2": behind(
        behind(WHOLE["rgb.jp2"], b"ihdr", 4, struct.pack(">II", 10**6, 10**6)),
        b"\xff\x4f\xff\x51",
        8,
        struct.pack(">II", 10**6, 10**6),
    ),
    "bomb-profile.png": with_chunk(WHOLE["rgb.png"], b"iCCP", b"p\0\0" + zlib.compress(bytes(2**26), 9)),
    "bomb-text.png": with_chunk(WHOLE["rgb.png"], b"zTXt", b"p\0\0" + zlib.compress(bytes(2**26), 9)),
    "bomb-tile.tif": tagged(tagged(TILES, 322, LONG, 1, 2**16), 323, LONG, 1, 2**16),
    "bomb-strip.tif": tagged(WHOLE["deflate.tif"], 279, LONG, 1, 2**31 - 1),
}
"""Small files that say they are large, or grow."""

IDAT = WHOLE["rgb.png"].index(b"IDAT")

LIES = {
    "ihdr-crc.png": put(WHOLE["rgb.png"], 29, b"\0\0\0\0"),
    "idat-crc.png": put(WHOLE["rgb.png"], len(WHOLE["rgb.png"]) - 16, b"\0\0\0\0"),
    "text-crc.png": WHOLE["rgb.png"][:33] + chunk(b"tEXt", b"a\0b")[:-1] + b"\0" + WHOLE["rgb.png"][33:],
    "no-rows.png": png(47, 33, 8, 0, b""),
    "taller.png": png_of(47, 66),
    "wider.png": png_of(94, 33),
    "shorter.png": png_of(47, 16),
    "zero.png": png_of(0, 0),
    "kind.png": put(WHOLE["rgb.png"], 8, chunk(b"IHDR", struct.pack(">IIBBBBB", 47, 33, 3, 7, 0, 0, 0))),
    "no-end.png": WHOLE["rgb.png"][:-12],
    "taller.jpg": jpeg_of(47, 66),
    "wider.jpg": jpeg_of(94, 33),
    "shorter.jpg": jpeg_of(47, 16),
    "zero.jpg": jpeg_of(0, 0),
    "no-height.jpg": jpeg_of(47, 0),
    "12-bits.jpg": behind(WHOLE["rgb.jpg"], b"\xff\xc0", 4, b"\x0c"),
    "lossless.jpg": behind(WHOLE["rgb.jpg"], b"\xff\xc0", 1, b"\xc3"),
    "hole.jpg": WHOLE["rgb.jpg"][:-300] + WHOLE["rgb.jpg"][-150:],
    "taller.bmp": put(WHOLE["rgb.bmp"], 22, struct.pack("<i", 66)),
    "negative.bmp": put(WHOLE["rgb.bmp"], 18, struct.pack("<i", -47)),
    "offset.bmp": put(WHOLE["rgb.bmp"], 10, struct.pack("<I", 10**6)),
    "taller.gif": behind(put(WHOLE["palette.gif"], 8, b"\x42\0"), b"\x2c\0\0\0\0", 7, b"\x42\0"),
    "taller.webp": behind(WHOLE["lossy.webp"], b"\x9d\x01\x2a", 5, struct.pack("<H", 66)),
    "taller.avif": behind(WHOLE["rgb.avif"], b"ispe", 12, struct.pack(">I", 66)),
    "taller.jp2": behind(WHOLE["rgb.jp2"], b"\xff\x4f\xff\x51", 12, struct.pack(">I", 66)),
    "taller.tif": tagged(TIFF, 257, LONG, 1, 66),
    "directory-beyond.tif": put(TIFF, 4, struct.pack("<I", 10**6)),
    "pixels-beyond.tif": tagged(TIFF, 273, LONG, 1, 10**6),
    "tiles-beyond.tif": tagged(TILES, 324, LONG, 9, 10**6),
    "loop.tif": linked(TIFF, None),
    "next-beyond.tif": linked(TIFF, 10**6),
    "no-samples.tif": tagged(TIFF, 277, SHORT, 1, 0),
    "no-bits.tif": tagged(TIFF, 258, SHORT, 1, 0),
    "no-strips.tif": tagged(TIFF, 278, SHORT, 1, 0),
    "zero.tif": tagged(TIFF, 256, LONG, 1, 0),
    "compression.tif": tagged(TIFF, 259, SHORT, 1, 999),
    "version.tif": b"II\x2c\0" + TIFF[4:],
    "empty-directory.tif": b"II*\0\x08\0\0\0\0\0\0\0\0\0",
    "zeros.png": bytes(1000),
    "empty.jpg": b"",
    "text.jpg": b"this is not a picture\n",
    "page.png": b"<!DOCTYPE html><html>404</html>",
    "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "postscript.tif": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "head.png": b"\x89PNG\r\n\x1a\n",
}
"""Files that are not what they say."""

NAMED = {
    "jpeg.png": WHOLE["rgb.jpg"],
    "png.jpg": WHOLE["rgb.png"],
    "tiff.gif": TIFF,
    "webp.bmp": WHOLE["lossy.webp"],
    "avif.jp2": WHOLE["rgb.avif"],
}
"""Sound files with the extension of another format."""
