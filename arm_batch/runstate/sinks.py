"""The sinks: what becomes of the images of a shard before its rows are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from arm_batch.runstate.rows import ImageRecord
from arm_batch.runstate.tars import pack, tar_key
from arm_batch.spec import Sink

Pack = Callable[[str, Sequence[ImageRecord], pa.Table | None], tuple[bytes, list[ImageRecord]]]
"""From a key, rows with images in them and the input's columns to a file, and to rows that say where in it."""


@dataclass(frozen=True)
class SinkKind:
    """One way to store images.

    Attributes:
        place: gives the path below `images/` of the file that a row's image becomes; None where images become no
            files of their own. Several rows may have one path if their images are equal.
        bundle_key: of the one file that holds the images of a part of this name; None where there is none.
        pack: makes that file.
    """

    place: Callable[[ImageRecord], str] | None = None
    bundle_key: Callable[[str], str] | None = None
    pack: Pack = pack


def mirrored(record: ImageRecord) -> str:
    """Where an image lies in the input, it lies in the output."""
    assert record.image is not None
    return record.image.path


SINKS: dict[Sink, SinkKind] = {
    "parquet": SinkKind(),
    "files": SinkKind(place=mirrored),
    "webdataset": SinkKind(bundle_key=tar_key),
}
"""By their names on the command line."""
