"""Arrays beside a record: npz files, read so that a broken or hostile one is told in one line.

Like records in JSON each has a `format` and a `checksum` of all its arrays; what was written before there were
formats has neither.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping

import numpy as np
from numpy.lib import format as npy

from arm_batch.core.arrays import Array, Counts
from arm_batch.errors import NewerError, StoreError
from arm_batch.storage.base import ObjectStore

_MOST_GROWTH = 100
_FREE = 64 << 20
"""Bytes that a file may unpack to beside that many times its own size: counts are mostly zeros."""


_MOST = 2**53
"""More tiles or pixels are in no archive, and sums stay far from 64 bits."""


_FORMAT = 1
_SEAL = ("format", "checksum")


class Tables:
    """The arrays of an npz file.

    Args:
        arrays: by name.
        where: the file is, for messages.
        remedy: what a user can do about a damaged one, as the end of a sentence.
    """

    def __init__(self, arrays: Mapping[str, Array], where: str, remedy: str) -> None:
        self._arrays = arrays
        self._where = where
        self._remedy = remedy

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def counts(self, name: str, ndim: int = 1) -> Counts:
        """An array of whole numbers from 0 up, with so many dimensions.

        Raises:
            StoreError: there is none.
        """
        found = self._arrays.get(name)
        whole = found is not None and found.dtype.kind in "iu" and found.ndim == ndim
        if found is None or not whole or (found.size and not 0 <= found.min() <= found.max() < _MOST):
            raise self.damaged(f"expected `{name}` to be whole numbers from 0 up in {ndim} dimensions")
        return found.astype(np.int64)

    def text(self, name: str) -> bytes:
        """An array of bytes."""
        found = self._arrays.get(name)
        if found is None or found.dtype != np.uint8 or found.ndim != 1:
            raise self.damaged(f"expected `{name}` to be uint8 in 1 dimension")
        return found.tobytes()

    def digest(self) -> bytes:
        """What the array ``checksum`` has to hold."""
        return _digest(self._arrays)

    def damaged(self, what: str) -> StoreError:
        """The error that says what is wrong with the file."""
        return StoreError(f"{self._where} is damaged: {what}; {self._remedy}")


def read_tables(store: ObjectStore, key: str, remedy: str) -> Tables:
    """The arrays that `write_tables` has written.

    Args:
        store: where they lie.
        key: of the file.
        remedy: as of `Tables`.

    Raises:
        StoreError: it is missing, damaged, or the store cannot be reached.
        NewerError: it is of a later format.
    """
    where = f"{store.url}/{key}"
    try:
        data = store.read(key)
    except FileNotFoundError as error:
        raise StoreError(f"{where} is missing; {remedy}") from error
    except PermissionError as error:
        raise StoreError(str(error)) from error
    try:
        arrays = _unpacked(data)
    except Exception as error:
        # Damaged bytes make zipfile and zlib raise almost anything: struct.error, NotImplementedError ...
        told = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(f"{where} is damaged: {told[:300]}; {remedy}") from error
    tables = Tables({name.removesuffix(".npy"): array for name, array in arrays.items()}, where, remedy)
    if any(name in tables for name in _SEAL):
        _check_seal(tables, where)
    return tables


def _unpacked(data: bytes) -> dict[str, Array]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > _FREE + _MOST_GROWTH * len(data):
            raise ValueError("it would unpack to far more than such tables hold")
        arrays = {member.filename: _array(archive.read(member)) for member in members}
    if len(arrays) < len(members):
        raise ValueError("an array is there more than once")
    return arrays


def _check_seal(tables: Tables, where: str) -> None:
    number = int(tables.counts("format", 0))
    if tables.text("checksum") != tables.digest():
        raise tables.damaged("its checksum does not fit: a value has changed since it was written")
    if number > _FORMAT:
        raise NewerError(
            f"{where} was written by a newer arm-batch, in format {number} (this one reads up to {_FORMAT}): use "
            "that version or a later one"
        )


def write_tables(store: ObjectStore, key: str, arrays: Mapping[str, Array]) -> None:
    """Write what `read_tables` reads; no array is named ``format`` or ``checksum``."""
    written: dict[str, Array] = {**arrays, "format": np.array(_FORMAT, np.int64)}
    written["checksum"] = np.frombuffer(_digest(written), np.uint8)
    buffer = io.BytesIO()
    # numpy takes any name as a keyword, which its annotations do not tell.
    np.savez_compressed(buffer, **written)  # type: ignore[arg-type]
    store.write(key, buffer.getvalue())


def _digest(arrays: Mapping[str, Array]) -> bytes:
    """SHA-256 of all arrays but the one that holds it."""
    told = hashlib.sha256()
    for name in sorted(arrays.keys() - {"checksum"}):
        array = np.asarray(arrays[name])
        told.update(f"{name} {array.dtype.str} {array.shape}\n".encode(errors="replace"))
        told.update(np.ascontiguousarray(array).tobytes())
    return told.digest()


def _array(data: bytes) -> Array:
    """One array, never more memory than its bytes; `ValueError` for another kind of content."""
    stream = io.BytesIO(data)
    if npy.read_magic(stream) != (1, 0):
        raise ValueError("an array of an unknown version")
    shape, fortran, dtype = npy.read_array_header_1_0(stream)
    values = memoryview(data)[stream.tell() :]
    if dtype.hasobject:
        raise ValueError("an array of Python objects")
    return np.frombuffer(values, dtype).reshape(shape, order="F" if fortran else "C")
