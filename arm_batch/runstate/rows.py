"""The rows of the output."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from arm_batch.inputs.columns import FEATURE

Status = Literal["ok", "failed"]


@dataclass(frozen=True)
class StoredImage:
    """The image of a row, as Hugging Face datasets hold one.

    Attributes:
        bytes: the encoded image; None when it is a file of its own.
        path: of the output image, relative: in the row when `bytes` is set, else under the output's root.
    """

    bytes: bytes | None
    path: str


@dataclass(frozen=True)
class ImageRecord:
    """What became of one input image; the fields but the last are the columns of `SCHEMA`.

    Attributes:
        id: `image_id` of the path.
        path: of the input image.
        status: ``ok``, or ``failed`` with an error, no image and no size.
        error: one line; None when ok.
        width: of the output, px; None when failed.
        height: of the output, px; None when failed.
        scale: upscaling factor.
        channels: of the output, alpha and further bands included; None when failed.
        bit_depth: per channel, 8 or 16; None when failed.
        format: of the output image: ``png``, ``jpeg``, ``webp``, ``tiff``, ``avif``; None when failed.
        image: the encoded output; None when failed.
        flops: executed for this image.
        tiles: of the image; 0 when it could not be decoded.
        subnet_tiles: tiles per subnet of the ladder, cheapest first.
        psnr_predicted_db: dB, from the ladder's table; None when failed, and where no net was asked for.
        source_size: bytes of the input image; -1 when it could not be read.
        source_etag: of the input object.
        sha256: hex, of the encoded output; None when failed.
        notes: what a user should know of how it was read and written, one line each.
        copy_of: path of the input image of the same bytes whose output this is; None for most.
        sidecar: a file that is to lie beside the output, where that is a file too; None for most.
    """

    id: str
    path: str
    status: Status
    error: str | None
    width: int | None
    height: int | None
    scale: int
    channels: int | None
    bit_depth: int | None
    format: str | None
    image: StoredImage | None
    flops: int
    tiles: int
    subnet_tiles: tuple[int, ...]
    psnr_predicted_db: float | None
    source_size: int
    source_etag: str
    sha256: str | None
    notes: tuple[str, ...]
    copy_of: str | None = None
    sidecar: StoredImage | None = None


def image_id(path: str) -> str:
    """The id of the image at `path`: 32 hex digits of the path's SHA-256."""
    return hashlib.sha256(path.encode()).hexdigest()[:32]


_FIELDS = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("path", pa.string(), nullable=False),
    pa.field("status", pa.string(), nullable=False),
    pa.field("error", pa.string()),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("scale", pa.int32(), nullable=False),
    pa.field("channels", pa.int32()),
    pa.field("bit_depth", pa.int32()),
    pa.field("format", pa.string()),
    pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
    pa.field("flops", pa.int64(), nullable=False),
    pa.field("tiles", pa.int32(), nullable=False),
    # Parquet calls the member of a list so: the schema comes back as it went in.
    pa.field("subnet_tiles", pa.list_(pa.field("element", pa.int32())), nullable=False),
    pa.field("psnr_predicted_db", pa.float64()),
    pa.field("source_size", pa.int64(), nullable=False),
    pa.field("source_etag", pa.string(), nullable=False),
    pa.field("sha256", pa.string()),
    pa.field("notes", pa.list_(pa.field("element", pa.string())), nullable=False),
    pa.field("copy_of", pa.string()),
]


def _feature(field: pa.Field) -> dict[str, Any]:
    if pa.types.is_struct(field.type):
        return {"_type": "Image"}
    if pa.types.is_list(field.type):
        return {"_type": "List", "feature": _feature(field.type.value_field)}
    return {"_type": "Value", "dtype": "float64" if pa.types.is_float64(field.type) else str(field.type)}


def output_schema(passthrough: pa.Schema | None = None) -> pa.Schema:
    """The columns of every part of an output: ours, then those that came along with the input.

    The metadata tells Hugging Face `datasets` that the column `image` holds images, and of the input's columns
    what their metadata told.
    """
    features = {field.name: _feature(field) for field in _FIELDS}
    added = [] if passthrough is None else list(passthrough)
    features |= {
        field.name: json.loads(field.metadata[FEATURE]) for field in added if FEATURE in (field.metadata or {})
    }
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    return pa.schema([*_FIELDS, *(field.remove_metadata() for field in added)], metadata=metadata)


SCHEMA: pa.Schema = output_schema()
"""What all parts have in common, in this order; it is part of the format."""


def to_table(records: Sequence[ImageRecord], passthrough: pa.Table | None = None) -> pa.Table:
    """The records as rows, in order, the input's columns behind. The images must add up to less than 2 GiB."""
    columns = []
    for field in SCHEMA:
        values = [getattr(record, field.name) for record in records]
        if field.name == "image":
            values = [None if v is None else {"bytes": v.bytes, "path": v.path} for v in values]
        columns.append(pa.array(values, field.type))
    added = [] if passthrough is None else passthrough.columns
    return pa.table([*columns, *added], schema=output_schema(None if passthrough is None else passthrough.schema))


def from_table(table: pa.Table) -> list[ImageRecord]:
    """The rows of a table, in order, without the input's columns."""
    records = []
    for row in table.select(SCHEMA.names).to_pylist():
        image = row.pop("image")
        stored = None if image is None else StoredImage(image["bytes"], image["path"])
        lists = {name: tuple(row[name]) for name in ("subnet_tiles", "notes")}
        records.append(ImageRecord(**row | lists | {"image": stored}))
    return records
