from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pyarrow as pa

from arm_batch.runstate.rows import SCHEMA, ImageRecord, StoredImage, from_table, image_id, to_table

OK = ImageRecord(
    id=image_id("a/ä.jpg"),
    path="a/ä.jpg",
    status="ok",
    error=None,
    width=40,
    height=80,
    scale=4,
    channels=4,
    bit_depth=8,
    format="png",
    image=StoredImage(b"bytes", "a/ä.png"),
    flops=10**15,
    tiles=3,
    subnet_tiles=(1, 0, 2),
    psnr_predicted_db=30.5,
    source_size=123,
    source_etag="e",
    sha256="0" * 64,
    notes=("frame 0 of 3",),
)
NOTHING: dict[str, Any] = dict.fromkeys(
    ("width", "height", "channels", "bit_depth", "format", "image", "psnr_predicted_db", "sha256")
)
FAILED = replace(OK, status="failed", error="broken", notes=(), **NOTHING)


def test_rows_come_back() -> None:
    records = [OK, FAILED, replace(OK, image=StoredImage(None, "images/x.png"))]
    table = to_table(records)
    assert table.schema.equals(SCHEMA, check_metadata=True)
    table.validate(full=True)
    assert from_table(table) == records
    assert from_table(to_table([])) == []


def test_the_columns_are_the_fields_in_order() -> None:
    assert SCHEMA.names == [field.name for field in fields(ImageRecord) if field.name != "sidecar"]
    assert SCHEMA.field("width").type == pa.int32()
    assert SCHEMA.field("flops").type == pa.int64()
    assert [field.name for field in SCHEMA if field.nullable] == [
        *("error", "width", "height", "channels", "bit_depth", "format", "image", "psnr_predicted_db", "sha256"),
        "copy_of",
    ]


def test_an_id_follows_from_the_path_alone() -> None:
    assert image_id("a.jpg") == "509b0d4641a7c3ba088ffa28559d1f57"
    assert image_id("a.jpg") != image_id("b.jpg")
