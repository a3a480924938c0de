"""One image of a run as a page shows it: which rung on which tile, and before beside after."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pyarrow.dataset as pads

from arm_batch.core.allocation.apportion import assign
from arm_batch.core.allocation.histogram import cells_of
from arm_batch.core.arrays import Indices, Pixels
from arm_batch.core.tiling.interpolation import bicubic
from arm_batch.errors import ArmBatchError, UsageError
from arm_batch.images.decode import decode
from arm_batch.inputs.listing import open_input
from arm_batch.report_page.colours import RUNG_COLOURS
from arm_batch.report_page.facts import Facts
from arm_batch.runstate.image_reader import Images
from arm_batch.runstate.plan_files import read_plan
from arm_batch.runstate.rows import StoredImage
from arm_batch.runstate.shard_plan import ImagePlan, ShardId
from arm_batch.storage.base import ObjectStore

LOOKED_AT = 2000
"""Rows among which a sample is looked for."""

MAP_PX = 960
"""Of the longer side of a map: what a page shows of a whole image."""

CROP_PX = (540, 960)
"""Height and width of what is shown pixel by pixel, before and after."""

_FILE = "__filename"
"""The column in which Arrow tells the file of a row."""

_MOST_PX = 2**26
"""Of an output that is decoded for a page."""


@dataclass(frozen=True)
class Sample:
    """What is shown of one image.

    Attributes:
        path: of it.
        size: height and width of the output, px.
        tiles: by rung.
        map: data URI of the output with its tiles coloured by rung.
        before: data URI of a part of it, interpolated; None where the input cannot be read any more.
        after: data URI of the same part as it was upscaled.
    """

    path: str
    size: tuple[int, int]
    tiles: tuple[int, ...]
    map: str
    before: str | None
    after: str


def take_sample(
    store: ObjectStore, rows: pads.Dataset, facts: Facts, path: str | None, endpoint_url: str | None
) -> Sample | None:
    """Show the image of a path, or one on which many rungs meet; None where there is none to show.

    Raises:
        UsageError: there is no such image, or it failed.
    """
    row = _row(rows, path)
    if row is None:
        return None
    image = StoredImage(**row["image"])
    after = _rgb8(decode(Images(store).read(image)).pixels)
    shard = _shard_of(row[_FILE])
    assert shard is not None
    plan, rungs = _assigned(store, facts, row["path"], shard)
    top, left = _corner(facts, plan, rungs, after)
    part = np.s_[top : top + CROP_PX[0], left : left + CROP_PX[1]]
    before = _before(facts, plan, endpoint_url)
    return Sample(
        path=row["path"],
        size=(after.shape[0], after.shape[1]),
        tiles=tuple(row["subnet_tiles"]),
        map=_data_uri(_map(facts, plan, rungs, after)),
        before=None if before is None or before.shape != after.shape else _data_uri(before[part]),
        after=_data_uri(after[part]),
    )


def _row(rows: pads.Dataset, path: str | None) -> dict[str, Any] | None:
    wanted = pads.field("status") == "ok"
    wanted &= (pads.field("tiles") > 0) if path is None else pads.field("path") == path
    small = pads.field("height") * pads.field("width") <= _MOST_PX
    columns = ["path", "subnet_tiles", "height", "width", _FILE]
    found = rows.head(LOOKED_AT, columns=columns, filter=wanted & small).to_pylist()
    found = [row for row in found if _shard_of(row[_FILE]) is not None]
    if not found:
        if path is not None:
            told = "no image of that path was upscaled by the first generation, or it is too large to be shown"
            raise UsageError(f"--image {path}: {told}")
        return None
    best = max(found, key=lambda row: (_worth(row), row["path"]))
    # The one file: an archive may have very many.
    part = pads.dataset(best[_FILE], format="parquet", filesystem=rows.filesystem)
    row: dict[str, Any] = part.to_table(["image"], filter=pads.field("path") == best["path"]).to_pylist()[0]
    merged: dict[str, Any] = best | row
    return merged


def _shard_of(file: str) -> ShardId | None:
    """The shard that a part is of, by its name; None for those of later generations, whose budgets are others."""
    match = re.search(r"/part-g0+-(\d+)-", file)
    return None if match is None else ShardId(0, int(match[1]))


def _worth(row: dict[str, Any]) -> float:
    """How much there is to see: how evenly rungs share the tiles, of what is no stamp or strip."""
    counts = np.array([count for count in row["subnet_tiles"] if count], float)
    shares = counts / counts.sum()
    size = min(1.0, float(min(row["height"], row["width"])) / CROP_PX[0])
    return size * float(0.1 - (shares * np.log2(shares)).sum())


def _assigned(store: ObjectStore, facts: Facts, path: str, shard: ShardId) -> tuple[ImagePlan, Indices]:
    """The plan of an image, and the rung of each of its tiles."""
    lut, plan = facts.ladder.lut, read_plan(store, shard)
    cells = [cells_of(facts.objective, lut, lut.bin_of(image.scores)) for image in plan.images]
    rungs = assign(plan.scores()[:, 0], np.concatenate(cells), facts.state.shares[shard.index])
    ends = np.cumsum([len(image.scores) for image in plan.images])[:-1]
    pairs = zip(plan.images, np.split(rungs, ends), strict=True)
    return next((image, own) for image, own in pairs if image.entry.path == path)


def _corner(facts: Facts, plan: ImagePlan, rungs: Indices, after: Pixels) -> tuple[int, int]:
    """Where the part begins that is shown: around the costliest tiles, inside the image."""
    scale, tile = facts.ladder.scale, facts.ladder.grid.tile
    spent = facts.ladder.costs[rungs].astype(np.float32).reshape(facts.ladder.grid.shape(plan.height, plan.width))
    sides = [max(1, px // (scale * tile)) for px in CROP_PX]
    around = cv2.blur(spent, (sides[1], sides[0]), borderType=cv2.BORDER_CONSTANT)
    row, column = np.unravel_index(int(np.argmax(around)), around.shape)
    middle = [(int(place) * 2 + 1) * scale * tile // 2 for place in (row, column)]
    limits = [max(0, after.shape[axis] - CROP_PX[axis]) for axis in (0, 1)]
    top, left = (min(max(0, middle[axis] - CROP_PX[axis] // 2), limits[axis]) for axis in (0, 1))
    return top, left


def _map(facts: Facts, plan: ImagePlan, rungs: Indices, after: Pixels) -> Pixels:
    """The output, small, its tiles coloured by rung and parted by lines."""
    rows, columns = facts.ladder.grid.shape(plan.height, plan.width)
    side = facts.ladder.scale * facts.ladder.grid.tile
    shrink = min(1.0, MAP_PX / max(after.shape[:2]))
    height, width = (max(1, round(px * shrink)) for px in after.shape[:2])
    grey = cv2.cvtColor(cv2.resize(after, (width, height), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    place_of = [
        np.minimum((np.arange(px) / shrink / side).astype(int), count - 1)
        for px, count in ((height, rows), (width, columns))
    ]
    number = rungs.reshape(rows, columns)[np.ix_(*place_of)]
    colour = np.array([RUNG_COLOURS[min(n, len(RUNG_COLOURS) - 1)] for n in range(len(facts.ladder.subnets))])[
        number
    ]
    shown = 0.5 * grey[..., None] + 0.5 * colour
    for axis, place in enumerate(place_of):
        lines = np.flatnonzero(np.diff(place)) + 1
        shown[lines if axis == 0 else slice(None), slice(None) if axis == 0 else lines] *= 0.6
    return np.asarray(shown, np.uint8)


def _before(facts: Facts, plan: ImagePlan, endpoint_url: str | None) -> Pixels | None:
    """The input of an image by interpolation alone; None where it cannot be read, or has changed."""
    try:
        source = open_input(facts.settings["input"], endpoint_url).source
        with source.open(plan.entry) as stream:
            pixels = _rgb8(decode(stream.read()).pixels)
    except (ArmBatchError, OSError):
        return None
    enlarged: Pixels = bicubic(pixels[None], facts.ladder.scale)[0]
    return enlarged


def _rgb8(pixels: Pixels) -> Pixels:
    """uint8 ``(h, w, 3)`` of what may be grey or of 16 bits."""
    eight = pixels if pixels.dtype == np.uint8 else np.asarray(pixels >> 8, np.uint8)
    return np.ascontiguousarray(np.broadcast_to(eight, (*eight.shape[:2], 3)))


def _data_uri(pixels: Pixels) -> str:
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "WEBP", quality=92)
    return f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"
