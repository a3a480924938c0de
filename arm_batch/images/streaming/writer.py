"""Writing images from top to bottom."""

from __future__ import annotations

import shutil
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from arm_batch.core.arrays import Pixels
from arm_batch.errors import ImageError, StoreError
from arm_batch.images.embed import Embedded, embed, room_for
from arm_batch.images.encode import SAVERS, save_options, with_metadata
from arm_batch.images.formats import choose_format
from arm_batch.images.reasons import writing_failed
from arm_batch.images.streaming.rows_as_png import PngRows
from arm_batch.images.streaming.strips import Strips
from arm_batch.images.tiff_tags import add_tags, extra_samples
from arm_batch.images.vips import open_socket, open_target
from arm_batch.metadata import Metadata, enlarge_metadata, exif_for
from arm_batch.metadata.exif import serialise
from arm_batch.metadata.texts import fitting

_TILE = 256
"""Side of the tiles of TIFF files, px."""

_FULL = 64 << 20
"""Bytes: with less left, a disk is what a failure is blamed on."""


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """What is written.

    Attributes:
        height: px.
        width: px.
        colours: channels of the colours, 1 or 3.
        planes: channels beyond them.
        has_alpha: whether the first of these is alpha.
        dtype: uint8 or uint16.
        metadata: beside the pixels.
        orientation: EXIF's, that viewers are to turn it by.
    """

    height: int
    width: int
    colours: int
    planes: int
    has_alpha: bool
    dtype: np.dtype[Any]
    metadata: Metadata
    orientation: int = 1


def canvas_of(strips: Strips, scale: int, strip_metadata: bool) -> Canvas:
    """For an image that is enlarged `scale` times, with or without its EXIF and XMP."""
    height, width = strips.height * scale, strips.width * scale
    metadata = strips.metadata.stripped() if strip_metadata else strips.metadata
    return Canvas(
        height=height,
        width=width,
        colours=strips.colours,
        planes=strips.planes,
        has_alpha=strips.has_alpha,
        dtype=strips.dtype,
        metadata=enlarge_metadata(metadata, scale, width, height),
        orientation=strips.orientation,
    )


_IN_STRIPS: dict[str, dict[str, Any]] = {
    "tiff": {"tile": True, "tile_width": _TILE, "tile_height": _TILE, "bigtiff": True},
    "png": {},
    "jpeg": {},
}
"""The formats that can be written in strips, and what their savers are told beside `save_options`: of TIFF,
viewers read the tiles that they show."""


def choose_strip_format(wanted: str, source: str, canvas: Canvas) -> tuple[str, str | None]:
    """The format that a large image gets, known before any work is done: the wanted one if it fits, else TIFF.

    Args:
        wanted: a key of `FORMATS`, or `AUTO`.
        source: format of the input.
        canvas: what is to be written.

    Returns:
        The format, and a note where it is not the wanted one.

    Raises:
        ImageError: no format can hold it.
    """

    def choose(format: str) -> tuple[str, str | None]:
        sides = canvas.height, canvas.width
        return choose_format(format, source, *sides, canvas.dtype, canvas.has_alpha, canvas.planes)

    format, note = choose(wanted)
    if note is None and format in _IN_STRIPS:
        return format, None
    choose("tiff")
    return "tiff", f"written as tiff: {format} cannot be written in strips" if note is None else note.replace(
        f"written as {format}", "written as tiff", 1
    )


class StripWriter:
    """Writes one image, row by row, into a file that is complete once the context ends without an error.

    libvips compresses on a thread of its own, a few rows behind.

    Args:
        path: of the file; it is there and empty.
        format: ``tiff``, ``png`` or ``jpeg``.
        quality: 1..100, of JPEG.
        canvas: what is written.

    Raises:
        ImageError: it cannot be written.
        StoreError: because the disk is full.
    """

    def __init__(self, path: Path, format: str, quality: int, canvas: Canvas) -> None:
        self._path, self._format, self._quality, self._canvas = path, format, quality, canvas
        self._ours, self._theirs = socket.socketpair()
        self._exif = exif_for(canvas.metadata, format, canvas.orientation)
        texts = fitting(canvas.metadata.texts, format)
        self._beside = Embedded(serialise(self._exif), canvas.metadata.dpi, texts)
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._save, daemon=True)

    def __enter__(self) -> StripWriter:
        canvas = self._canvas
        self._thread.start()
        samples = canvas.width * (canvas.colours + canvas.planes)
        self._rows = PngRows(self._send, canvas.height, samples, canvas.dtype)
        return self

    def add(self, rows: Pixels) -> None:
        """The next rows, ``(n, width, colours + planes)``."""
        self._rows.add(rows)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._rows.end()
        finally:
            # Without this end of file what was begun waits for ever.
            self._ours.close()
            self._thread.join()
        if error is None:
            self._check()
            self._complete()

    def _send(self, data: bytes) -> None:
        try:
            self._ours.sendall(data)
        except ConnectionError:
            self._thread.join()
            self._check()
            # It has all rows and did not wait for what ends the file.

    def _save(self) -> None:
        """Runs beside the caller: it reads what is sent and writes the file."""
        try:
            self._encode()
        except Exception as error:
            # What libvips says, above all; whatever it is, the caller has to know.
            self._failure = writing_failed(error, self._format)
        finally:
            # libvips may still hold its end; shut down, it is of no use to anyone.
            with suppress(OSError):
                self._theirs.shutdown(socket.SHUT_RDWR)
            self._theirs.close()

    def _encode(self) -> None:
        canvas = self._canvas
        flat = open_socket(self._theirs.fileno())
        deep = canvas.dtype == np.uint16
        grey, rgb = ("grey16", "rgb16") if deep else ("b-w", "srgb")
        image = flat.bandfold(factor=canvas.colours + canvas.planes)
        image = image.copy(interpretation=grey if canvas.colours == 1 else rgb)
        image, keep = with_metadata(image, canvas.metadata)
        options = save_options(self._format, self._quality) | _IN_STRIPS[self._format]
        if self._format == "tiff":
            image.tiffsave(str(self._path), **options, keep=keep)
            return
        with self._path.open("r+b", buffering=0) as file:
            # It writes from there on, from which file it does not know.
            file.seek(room_for(self._format, self._beside))
            getattr(image, f"{SAVERS[self._format]}_target")(open_target(file.fileno()), **options, keep=keep)

    def _complete(self) -> None:
        """What libvips does not write."""
        canvas = self._canvas
        with self._path.open("r+b") as file:
            if self._format == "tiff":
                add_tags(file, self._exif, extra_samples(canvas.has_alpha, canvas.planes))
            else:
                embed(file, self._format, self._beside)

    def _check(self) -> None:
        if self._failure is None:
            return
        folder = self._path.parent
        try:
            full = shutil.disk_usage(folder).free < _FULL
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror or error}") from error
        if full:
            raise StoreError(f"{folder}: no space left: make room and run the same command again")
        raise ImageError(self._failure)
