"""Reading one image of an output back: whether it is what its row says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from operator import mul
from typing import BinaryIO

from arm_batch.core.image_options import Reading
from arm_batch.core.large_images import DEFAULT_LARGE_IMAGES, LargeImages
from arm_batch.errors import ImageError, ObjectError
from arm_batch.images.streaming import open_strips, read_through
from arm_batch.runstate.image_reader import Images
from arm_batch.runstate.rows import ImageRecord
from arm_batch.storage.base import hash_stream

_ANY_SIZE = Reading(max_pixels=sys.maxsize)
"""What was committed needs no guard."""


READ_BACK = LargeImages(streamed=DEFAULT_LARGE_IMAGES.pixels)
"""Only large images are in formats that can be read in strips."""


def verify_image(
    images: Images,
    large_images: LargeImages,
    row: ImageRecord,
    lr_size: tuple[int, int] | None,
    costs: tuple[int, ...],
) -> Iterator[str]:
    """What is wrong with an image that was committed, a line each.

    Args:
        images: of the output.
        large_images: which of them are read in strips.
        row: of the image.
        lr_size: height and width that its plan says of the input, px; None where there is no plan.
        costs: FLOPs of a tile by subnet; empty where they are not known.
    """
    height, width = row.height or 0, row.width or 0
    if lr_size is not None:
        height, width = (side * row.scale for side in lr_size)
    if (row.height, row.width) != (height, width):
        yield f"its row says {row.width} x {row.height} px, the plan {width} x {height}"
    if costs and row.flops != _flops_of(row.subnet_tiles, costs):
        yield "its FLOPs are not those of its tiles"
    if row.image is None:
        yield "its row has no image"
        return
    try:
        with images.open(row.image) as stream:
            yield from _verify_pixels(stream, large_images, row, height, width)
    except (FileNotFoundError, PermissionError, ObjectError) as error:
        yield f"its image cannot be read: {error}"


def _flops_of(tiles: tuple[int, ...], costs: tuple[int, ...]) -> int | None:
    """What so many tiles by subnet cost; None where there are other subnets."""
    return sum(map(mul, tiles, costs)) if len(tiles) == len(costs) else None


def _verify_pixels(
    stream: BinaryIO, large_images: LargeImages, row: ImageRecord, height: int, width: int
) -> Iterator[str]:
    if hash_stream(stream) != row.sha256:
        yield "its image is not what was committed: the SHA-256 differs"
        return
    try:
        strips = open_strips(stream, _ANY_SIZE, large_images)
        if (strips.height, strips.width) != (height, width):
            yield f"its image has {strips.width} x {strips.height} px, not {width} x {height}"
        read_through(strips)
    except ImageError as error:
        yield f"its image does not decode: {error}"
