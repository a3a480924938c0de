"""Reading output images, wherever the sink has put them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO

from arm_batch.runstate.rows import StoredImage
from arm_batch.runstate.tars import split_path, unpack
from arm_batch.storage.base import ObjectInfo, ObjectStore


class Images:
    """Reads the images of rows; those of one tar file are cheapest one after the other.

    Args:
        store: the output.
        staged: where images lie that are not yet at their places, see `staging.staged_of`.
    """

    def __init__(self, store: ObjectStore, staged: Mapping[str, str] | None = None) -> None:
        self._store = store
        self._staged = staged or {}
        self._tar = ""
        self._members: dict[str, bytes] = {}

    def open(self, image: StoredImage) -> BinaryIO:
        """The encoded image, seekable; a file of its own is read as far as it is asked for.

        Raises:
            FileNotFoundError, PermissionError, StoreError: as `ObjectStore.open`.
        """
        if image.bytes is None and split_path(image.path) is None:
            return self._store.open(self._find(image.path))
        return io.BytesIO(self.read(image))

    def read(self, image: StoredImage) -> bytes:
        """The encoded image.

        Raises:
            FileNotFoundError, PermissionError, StoreError: as `ObjectStore.read`.
        """
        if image.bytes is not None:
            return image.bytes
        place = split_path(image.path)
        if place is None:
            return self._store.read(self._find(image.path).key)
        tar, member = place
        if tar != self._tar:
            try:
                self._tar, self._members = tar, unpack(self._store.read(tar))
            except ValueError as error:
                raise FileNotFoundError(f"{self._store.url}/{tar} is {error}") from error
        if member not in self._members:
            raise FileNotFoundError(f"{self._store.url}/{image.path} does not exist")
        return self._members[member]

    def _find(self, path: str) -> ObjectInfo:
        if path in self._staged:
            # It may have been moved meanwhile.
            with suppress(FileNotFoundError):
                return self._store.stat(self._staged[path])
        return self._store.stat(path)
