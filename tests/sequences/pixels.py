"""What a row claims of its image, recomputed from the bytes of its source alone."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.sequences.inputs import Inputs
from tests.sequences.remember import remembered
from tests.sequences.toy import COSTS, GRID, SCALE, by_subnet, decoded


def untrue(row: dict[str, Any], image: bytes | None, inputs: Inputs) -> Iterator[str]:
    """What of a row is not so, a line for each.

    Args:
        row: as a user reads it.
        image: what lies where the row says; None where nothing does.
        inputs: all that the sources ever were.
    """
    lacking = [
        name for name in ("subnet_tiles", "flops", "image", "error", "copy_of", "source_size") if name not in row
    ]
    source = inputs.bytes_of(row["path"], row["source_etag"])
    if lacking:
        # A flipped bit of a name.
        yield f"it lacks {', '.join(lacking)}"
    elif source is None:
        yield f"its source never had the ETag {row['source_etag']!r}"
    elif row["source_size"] not in (len(source), -1):
        yield f"its source has {len(source)} bytes, not {row['source_size']}"
    elif row["status"] == "failed":
        yield from _untrue_failure(row, source, inputs)
    else:
        yield from _untrue_image(row, source, image)


def _untrue_failure(row: dict[str, Any], source: bytes, inputs: Inputs) -> Iterator[str]:
    if row["flops"] or any(row["subnet_tiles"]) or row["image"] is not None:
        yield "it failed, and has FLOPs, tiles or an image"
    if not row["error"] or "\n" in row["error"]:
        yield f"why it failed is not one line: {row['error']!r}"
    if by_subnet(source) is not None and not inputs.has_changed(row["copy_of"] or row["path"]):
        yield f"its source is sound and never changed, but it failed: {row['error']}"


def _untrue_image(row: dict[str, Any], source: bytes, image: bytes | None) -> Iterator[str]:
    everywhere = by_subnet(source)
    if everywhere is None:
        yield "its source is broken, but it is ok"
        return
    if image is None:
        yield "its image is not there"
        return
    if hashlib.sha256(image).hexdigest() != row["sha256"]:
        yield "its image has another SHA-256"
    pixels = decoded(image)
    if pixels is None or pixels.shape != everywhere[0].shape:
        yield "its image is broken or of another size"
        return
    if (row["height"], row["width"]) != pixels.shape[:2]:
        yield f"its image has {pixels.shape[:2]} px, not {row['height'], row['width']}"
    counts = _subnets(image, source)
    told = dict(enumerate(row["subnet_tiles"]))
    if None in counts:
        yield f"{counts[None]} tiles of its image are not what any subnet makes of its source"
    elif row["copy_of"] is not None:
        if any(told.values()) or row["flops"] or row["tiles"]:
            yield "it is a copy, and has FLOPs or tiles"
    else:
        if any(counts[subnet] != count for subnet, count in told.items()):
            yield f"its image has tiles by {dict(counts)}, not by {told}"
        if row["flops"] != sum(COSTS[subnet] * count for subnet, count in told.items()):
            yield "its FLOPs are not those of its tiles"


@remembered
def _subnets(image: bytes, source: bytes) -> Counter[int | None]:
    """How many tiles of an image are by each subnet, and by none."""
    pixels, everywhere = decoded(image), by_subnet(source)
    assert pixels is not None
    assert everywhere is not None
    side = GRID.tile * SCALE
    found: Counter[int | None] = Counter()
    for top in range(0, pixels.shape[0], side):
        for left in range(0, pixels.shape[1], side):
            tile = np.s_[top : top + side, left : left + side]
            by = (n for n, made in enumerate(everywhere) if np.array_equal(made[tile], pixels[tile]))
            found[next(by, None)] += 1
    return found


def tiles(source: bytes | None) -> int:
    """Of an image; none of bytes that are no image."""
    pixels = None if source is None else decoded(source)
    return 0 if pixels is None else GRID.count(*pixels.shape[:2])
