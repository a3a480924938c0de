"""What becomes of the broken files."""

from __future__ import annotations

import numpy as np

from tests.corpus import broken
from tests.corpus.case import BROKEN, Case, Failed, Upscaled
from tests.corpus.scenes import RGB

_NOT_READ = "cannot be decoded(?: as [A-Za-z0-9 ]+)?: "
_LIBPNG = f"{_NOT_READ}vipspng: libpng read error"
_TIFF_ENDS = rf"{_NOT_READ}tiff2vips: Read error at .*; got \d+ bytes, expected \d+"
_PILLOW_ENDS = rf"{_NOT_READ}image file is truncated \(\d+ bytes not processed\)"
_JP2 = f"{_NOT_READ}its data is damaged"
_HEADER = f"{_NOT_READ}its header is broken"
_UNKNOWN = "not an image in a known format"
_JPEG_ENDS = "is damaged: premature end of data segment"

_TRUNCATED = {
    ".png": _LIBPNG,
    ".jpg": rf"{_HEADER}|{_NOT_READ}Truncated File Read|{_NOT_READ}VipsJpeg: premature end of JPEG image",
    ".tif": rf"{_TIFF_ENDS}|{_NOT_READ}broken, or samples of 64 bits of a kind that is not read",
    ".gif": rf"{_HEADER}|{_PILLOW_ENDS}",
    ".bmp": _PILLOW_ENDS,
    ".webp": f"{_NOT_READ}could not create decoder object",
    ".avif": rf"{_HEADER}|{_NOT_READ}Failed to decode frame 0: Truncated data",
    ".jp2": _JP2,
}


def _too_many(width: int, height: int) -> Failed:
    return Failed(f"{width} x {height} px are more than the 134,217,728 allowed")


_TOP = RGB[:16]

_BOMBS: dict[str, Failed | Upscaled] = {
    "bomb.png": _too_many(2**31 - 1, 2**31 - 1),
    "bomb16.png": _too_many(60_000, 60_000),
    "bomb.jpg": _too_many(65_500, 65_500),
    "bomb.gif": _too_many(65_535, 65_535),
    "bomb.bmp": _too_many(2**31 - 1, 2**31 - 1),
    "bomb.tif": _too_many(10**6, 10**6),
    "bomb-bands.tif": Failed(f"{_NOT_READ}tiff2vips: samples out of range"),
    "bomb.webp": _too_many(16_383, 16_383),
    "bomb-lossless.webp": _too_many(16_384, 16_384),
    "bomb.avif": Failed(_HEADER),
    "bomb.jp2": _too_many(10**6, 10**6),
    "bomb-profile.png": Upscaled(RGB, notes=(BROKEN,)),
    "bomb-text.png": Upscaled(RGB),
    "bomb-tile.tif": Failed(f"{_NOT_READ}tiff2vips: tile size out of range"),
    "bomb-strip.tif": Failed(_TIFF_ENDS),
}

_LIES: dict[str, Failed | Upscaled] = {
    "ihdr-crc.png": Failed(f"{_NOT_READ}its data is damaged"),
    "idat-crc.png": Failed(_LIBPNG),
    "text-crc.png": Upscaled(RGB),
    "no-rows.png": Failed(_LIBPNG),
    "taller.png": Failed(_LIBPNG),
    "wider.png": Failed(_LIBPNG),
    # What is missing at the end can be told from what is there; what is too much cannot.
    "shorter.png": Upscaled(_TOP),
    "zero.png": Failed("has no pixels"),
    "kind.png": Failed(f"{_NOT_READ}its data is damaged"),
    "no-end.png": Upscaled(RGB),
    "taller.jpg": Failed(_JPEG_ENDS),
    "wider.jpg": Failed(_JPEG_ENDS),
    "shorter.jpg": Upscaled(_TOP, "jpeg", within=6),
    "zero.jpg": Failed(_HEADER),
    "no-height.jpg": Failed(_HEADER),
    "12-bits.jpg": Failed("has 12 bits a sample, of which JPEG is read with 8"),
    "lossless.jpg": Failed(f"{_NOT_READ}VipsJpeg: Unsupported color conversion request"),
    "hole.jpg": Failed(f"{_NOT_READ}VipsJpeg: Corrupt JPEG data: .* missing SOS marker"),
    "taller.bmp": Failed(_PILLOW_ENDS),
    "negative.bmp": _too_many(2**32 - 47, 33),
    "offset.bmp": Failed(_PILLOW_ENDS),
    "taller.gif": Failed(_PILLOW_ENDS),
    "taller.webp": Failed(f"{_NOT_READ}failed to read next frame"),
    # The size around the frame is that to be shown at.
    "taller.avif": Upscaled(np.repeat(RGB, 2, axis=0), "avif", within=6),
    "taller.jp2": Failed(_JP2),
    "taller.tif": Failed(rf"{_NOT_READ}tiff2vips: Invalid strip byte count 0, strip 1"),
    "directory-beyond.tif": Failed(f"{_NOT_READ}its directory is broken or missing"),
    "pixels-beyond.tif": Failed(f"{_NOT_READ}source: bad seek to 1000000 .*"),
    "tiles-beyond.tif": Failed(f'{_NOT_READ}.*IO error during reading of "TileOffsets".*'),
    "loop.tif": Upscaled(RGB, "tiff"),
    "next-beyond.tif": Failed(f"{_NOT_READ}.*Failed to read directory at offset 1000000.*"),
    "no-samples.tif": Failed(f'{_NOT_READ}.*Bad value 0 for "SamplesPerPixel" tag.*'),
    "no-bits.tif": Failed(f"{_NOT_READ}.*Cannot handle zero scanline size.*"),
    "no-strips.tif": Failed(f'{_NOT_READ}.*Bad value 0 for "RowsPerStrip" tag.*'),
    "zero.tif": Failed("has no pixels"),
    "compression.tif": Failed(f"{_NOT_READ}.*Compression scheme 999 strip decoding is not implemented"),
    "version.tif": Failed(_UNKNOWN),
    "empty-directory.tif": Failed(f"{_NOT_READ}its directory is broken or missing"),
    "zeros.png": Failed(_UNKNOWN),
    "empty.jpg": Failed("empty file"),
    "text.jpg": Failed(_UNKNOWN),
    "page.png": Failed(_UNKNOWN),
    "drawing.png": Failed(_UNKNOWN),
    "postscript.tif": Failed(_UNKNOWN),
    "head.png": Failed("has no pixels"),
}

_NAMED = {
    "jpeg.png": Upscaled(RGB, "jpeg", within=6),
    "png.jpg": Upscaled(RGB, "png"),
    "tiff.gif": Upscaled(RGB, "tiff"),
    "webp.bmp": Upscaled(RGB, "webp", within=8),
    "avif.jp2": Upscaled(RGB, "avif", within=6),
}


def _truncated() -> dict[str, Case]:
    cases = {}
    for name, data in broken.WHOLE.items():
        stem, dot, extension = name.rpartition(".")
        for tenth in range(10):
            reason = _TRUNCATED[dot + extension] if tenth else "empty file"
            cases[f"cut/{stem}-{tenth}.{extension}"] = Case(data[: len(data) * tenth // 10], Failed(reason))
    return cases


BROKEN_FILES = {
    **_truncated(),
    **{f"bombs/{name}": Case(data, _BOMBS[name]) for name, data in broken.BOMBS.items()},
    **{f"lies/{name}": Case(data, _LIES[name]) for name, data in broken.LIES.items()},
    **{f"named/{name}": Case(data, _NAMED[name]) for name, data in broken.NAMED.items()},
}
"""By the path that they have in the archive."""
