"""Streams as libvips reads them."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

from arm_batch.images.tiff_entries import Patch
from arm_batch.images.vips import stream_source


class VipsSource:
    """Lets libvips read a seekable stream. What the stream raises would get lost in libvips: it is kept here.

    Attributes:
        source: for libvips' loaders.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._patched: list[VipsSource] = []
        self._error: Exception | None = None
        # Its own, as others read the stream in between.
        self._position = 0
        self.source = stream_source(self._read, self._seek)

    def patched(self, patch: Patch) -> Any:
        """A source for the same stream with another directory; `check` tells of it too."""
        self._patched.append(VipsSource(patch.over(self._stream)))
        return self._patched[-1].source

    def check(self) -> None:
        """Raise what the stream raised, if it did."""
        for patched in self._patched:
            patched.check()
        if self._error is not None:
            raise self._error

    def _read(self, size: int) -> bytes | None:
        # To libvips nothing is the end of the file, and everything after a failure is.
        if self._error is not None:
            return None
        try:
            self._stream.seek(self._position)
            data = self._stream.read(size)
        except Exception as error:
            self._error = error
            return None
        self._position += len(data)
        return data

    def _seek(self, offset: int, whence: int) -> int:
        try:
            if whence == io.SEEK_END:
                self._position = self._stream.seek(offset, whence)
            else:
                self._position = offset + (self._position if whence == io.SEEK_CUR else 0)
        except Exception as error:
            self._error = self._error or error
            return -1
        return self._position
