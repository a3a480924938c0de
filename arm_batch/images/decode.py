"""Image files to pictures."""

from __future__ import annotations

from dataclasses import replace

from PIL import UnidentifiedImageError

from arm_batch.core.image_options import DEFAULT_READING, Reading
from arm_batch.errors import ImageError
from arm_batch.images.picture import Picture
from arm_batch.images.quiet import no_warnings
from arm_batch.images.read_bmp import read_bmp
from arm_batch.images.read_deep import read_heif, read_jp2
from arm_batch.images.read_jpeg import read_jpeg
from arm_batch.images.read_pillow import read_pillow
from arm_batch.images.read_png import read_png
from arm_batch.images.read_tiff import read_tiff
from arm_batch.images.reasons import reading_failed
from arm_batch.images.samples import Samples, to_picture
from arm_batch.images.sniff import sniff
from arm_batch.metadata.described import BY_FORMAT


def decode(data: bytes, reading: Reading = DEFAULT_READING) -> Picture:
    """The picture in a file, turned upright by its EXIF orientation.

    JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF and JPEG 2000; HEIF where `pillow_heif` is installed. Palettes become
    RGB; black and white, grey; CMYK and its kin, sRGB. Alpha that is opaque everywhere is dropped. Of a JPEG that
    carries further pictures (MPO: previews, depth) the first is taken.

    Args:
        data: the whole file.
        reading: what is taken, and how.

    Raises:
        ImageError: with a short reason; for damage of any kind, and for what `reading` refuses.
    """
    if not data:
        raise ImageError("empty file")
    try:
        # Pillow warns of odd metadata, which says nothing about the pixels.
        with no_warnings():
            return to_picture(_described(_read(data, reading), data), reading)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError("cannot be decoded: its header is broken") from None
    except MemoryError:
        raise ImageError("not enough memory to decode it") from None
    except Exception as error:
        # Pillow's readers let through whatever a broken file makes them trip over (KeyError, IndexError,
        # TypeError, zlib.error, AssertionError ...), and one file must not end a job.
        raise ImageError(reading_failed(error, sniff(data))) from error


def _described(samples: Samples, data: bytes) -> Samples:
    """With what the file says of its colours where no reader of its format looks."""
    describe = BY_FORMAT.get(samples.format)
    if describe is None or samples.icc is not None:
        return samples
    icc, space, notes = describe(data)
    return replace(samples, icc=icc, space=space, notes=(*samples.notes, *notes))


def _read(data: bytes, reading: Reading) -> Samples:
    format = sniff(data)
    if format == "jpeg":
        return read_jpeg(data, reading)
    if format == "png":
        return read_png(data, reading)
    if format == "tiff":
        return read_tiff(data, reading)
    if format == "bmp":
        return read_bmp(data, reading)
    if format in ("jp2", "jp2-lossless"):
        return read_jp2(data, reading, format)
    if format in ("avif", "heif"):
        return read_heif(data, reading, format)
    return read_pillow(data, reading, format)
