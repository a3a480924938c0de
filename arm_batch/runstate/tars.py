"""Tar files of samples, as WebDataset reads them: members that share a key up to the first dot are one sample."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from arm_batch.runstate.rows import ImageRecord, StoredImage

TARS = "tars/"
"""Folder of the output that the sink `webdataset` writes to."""

_EXTENSION = ".tar"


def pack(
    key: str, records: Sequence[ImageRecord], passthrough: pa.Table | None = None
) -> tuple[bytes, list[ImageRecord]]:
    """Put the images of rows into a tar file, each with its row as JSON beside it.

    A sample is called after the row's id: a dot in a path would end the key, and a path may be longer than a tar
    header has room for. The JSON has the path.

    Args:
        key: of the tar file.
        records: rows with encoded images in them.
        passthrough: the input's columns of each row; None where it has none.

    Returns:
        The file, the same for the same rows, and the rows with the images' places in it.
    """
    buffer = io.BytesIO()
    placed = []
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        added = [{} for _ in records] if passthrough is None else passthrough.to_pylist()
        for record, more in zip(records, added, strict=True):
            if record.image is None or record.image.bytes is None:
                placed.append(record)
                continue
            member = record.id + PurePosixPath(record.image.path).suffix
            _add(tar, member, record.image.bytes)
            _add(tar, f"{record.id}.json", _describe(record, more))
            placed.append(dataclasses.replace(record, image=StoredImage(None, f"{key}/{member}")))
    return buffer.getvalue(), placed


def unpack(data: bytes) -> dict[str, bytes]:
    """The members of a tar file that `pack` wrote; `ValueError` where it is none."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            members = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
            return {name: file.read() for name, file in members.items() if file is not None}
    except (tarfile.TarError, OSError) as error:
        raise ValueError(f"not a tar file: {error}") from error


def split_path(path: str) -> tuple[str, str] | None:
    """Key of the tar file and member of an image's place as `pack` gives it; None for any other place.

    >>> split_path("tars/part-1.tar/00ff.png")
    ('tars/part-1.tar', '00ff.png')
    """
    key, slash, member = path.rpartition("/")
    if not (slash and key.startswith(TARS) and key.endswith(_EXTENSION)):
        return None
    return key, member


def tar_key(name: str) -> str:
    """Where the tar file of a part of this name lies."""
    return f"{TARS}{name}{_EXTENSION}"


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _describe(record: ImageRecord, more: Mapping[str, Any]) -> bytes:
    row = dataclasses.asdict(record)
    row["output"] = row.pop("image")["path"]
    del row["sidecar"]
    return json.dumps(row | dict(more), default=_as_json).encode()


def _as_json(value: object) -> str:
    """What JSON has no type for: bytes in base 64, dates and the like as text."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
