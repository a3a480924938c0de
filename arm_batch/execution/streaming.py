"""Large images: images whose output does not fit into memory, upscaled band by band from one file to another."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.arrays import Indices, Pixels
from arm_batch.core.tiling.grid import Stitcher, Upscaled, Windows
from arm_batch.core.tiling.interpolation import enlarge_planes, interpolate_tiles
from arm_batch.errors import ImageError, ObjectError, StoreError
from arm_batch.execution.batches import BATCH_TILES, interpolated
from arm_batch.execution.messages import JobContext, RunBatch
from arm_batch.execution.rows import Encoded, done_record, failed_record, note_of_not_finite
from arm_batch.execution.world_files import world_sidecar
from arm_batch.images import Picture, fit_metadata
from arm_batch.images.streaming import Canvas, Strips, StripWriter, canvas_of, open_strips
from arm_batch.inputs.sources import of_one_image
from arm_batch.runstate.rows import ImageRecord, StoredImage
from arm_batch.runstate.shard_plan import ImagePlan, ShardId
from arm_batch.runstate.staging import staged_key, staging_folder
from arm_batch.storage.base import ObjectStore, hash_stream
from arm_batch.storage.scratch import scratch_file

_SAMPLE_ROWS = 256
"""As many as are decoded at once."""

_PLANE_MARGIN = 4
"""Rows around a band that interpolating its planes looks at."""


def may_hold_large(context: JobContext, share: ShardAllocation) -> bool:
    """Whether a shard has tiles enough for a large image; only its plan knows whether it has one."""
    ladder = context.ladder
    return context.large_images.has_output(int(share.tiles.sum()) * (ladder.grid.tile * ladder.scale) ** 2, 1)


def upscale_large(
    context: JobContext, shard: ShardId, image: ImagePlan, subnets: Indices, run: RunBatch
) -> ImageRecord:
    """Upscale one large image into a file of the output, whatever the sink; there it waits for the commit.

    Args:
        context: of the run.
        shard: that it belongs to.
        image: its plan.
        subnets: of each tile.
        run: upscales a batch.

    Raises:
        StoreError: the output, or the disk for scratch files, cannot be written.
    """
    assert image.format is not None
    try:
        with _opened(context, image) as strips, scratch_file(context.output.scratch_folder()) as path:
            whole = canvas_of(strips, context.ladder.scale, context.writing.strip_metadata)
            sidecar, told = world_sidecar(context, image, whole.metadata, is_file=True)
            canvas, notes = _fitted(whole, image)
            with StripWriter(path, image.format, context.writing.quality, canvas) as writer:
                broken = sum(_write_bands(context, strips, subnets, run, writer, image.height))
            folder = staging_folder(shard, uuid.uuid4().hex)
            stored, sha256 = _stage(context.output, staged_key(folder, image.output), path)
            if sidecar is not None and sidecar.bytes is not None:
                context.output.write(staged_key(folder, sidecar.path), sidecar.bytes)
        channels, depth = canvas.colours + canvas.planes, 8 * canvas.dtype.itemsize
        notes = notes + told + note_of_not_finite(broken)
        return done_record(
            context,
            image,
            subnets,
            Encoded(stored=stored, sha256=sha256, channels=channels, bit_depth=depth, notes=notes),
        )
    except ImageError as error:
        return failed_record(context, image, str(error))


def interpolate_strip(context: JobContext, image: ImagePlan) -> int:
    """Take the top of a large image through all but the nets; returns how many LR pixels that were.

    Raises:
        ImageError: it cannot be read or written.
        StoreError: as `upscale_large`.
    """
    assert image.format is not None
    grid = context.ladder.grid
    height = min(image.height, grid.tile * max(1, _SAMPLE_ROWS // grid.tile))
    with _opened(context, image) as strips, scratch_file(context.output.scratch_folder()) as path:
        canvas = canvas_of(strips, context.ladder.scale, context.writing.strip_metadata)
        canvas, _ = _fitted(replace(canvas, height=height * context.ladder.scale), image)
        subnets = interpolated(context, image)
        with StripWriter(path, image.format, context.writing.quality, canvas) as writer:
            for _ in _write_bands(context, strips, subnets, _no_net, writer, height):
                pass
    return height * image.width


def _no_net(subnet: int, pieces: Sequence[Windows]) -> Sequence[Upscaled]:
    raise AssertionError(f"subnet {subnet} is asked for on {len(pieces)} images where all is interpolated")


@contextmanager
def _opened(context: JobContext, image: ImagePlan) -> Iterator[Strips]:
    """The image, as it was when it was planned."""
    with of_one_image("changed while it was read"), context.source.open(image.entry) as stream:
        strips = open_strips(stream, context.reading, context.large_images)
        if (strips.height, strips.width) != (image.height, image.width):
            raise ImageError("changed since it was planned")
        yield strips


def _fitted(canvas: Canvas, image: ImagePlan) -> tuple[Canvas, tuple[str, ...]]:
    """With metadata that the format can hold, and the notes of the row."""
    assert image.format is not None
    stand_in = Picture.plain(np.empty((1, 1, canvas.colours), canvas.dtype))
    stand_in = replace(stand_in, metadata=canvas.metadata, notes=image.notes)
    fitted = fit_metadata(stand_in, image.format)
    return replace(canvas, metadata=fitted.metadata), fitted.notes


def _write_bands(
    context: JobContext, strips: Strips, subnets: Indices, run: RunBatch, writer: StripWriter, height: int
) -> Iterator[int]:
    """Upscale the first `height` rows, whole tiles or all there are; yields how many tiles nets failed on."""
    grid, scale = context.ladder.grid, context.ladder.scale
    row_bytes = strips.width * (strips.colours + strips.planes) * strips.dtype.itemsize * scale * scale
    step = grid.tile * max(1, context.large_images.band_bytes // (row_bytes * grid.tile))
    columns = grid.shape(1, strips.width)[1]
    for top in range(0, height, step):
        bottom = min(top + step, height)
        first, last = top // grid.tile * columns, -(-bottom // grid.tile) * columns
        rows, broken = _upscale_band(context, strips, top, bottom, subnets[first:last], run)
        writer.add(rows)
        yield broken


def _upscale_band(
    context: JobContext, strips: Strips, top: int, bottom: int, subnets: Indices, run: RunBatch
) -> tuple[Pixels, int]:
    """Rows of tiles ``[top, bottom)`` of the image, upscaled, and how many tiles nets failed on."""
    grid, scale = context.ladder.grid, context.ladder.scale
    # Asked for once, with all that either colours or planes look at.
    start = max(0, top - grid.halo - _PLANE_MARGIN)
    stop = min(strips.height, bottom + grid.halo + _PLANE_MARGIN)
    piece = strips.rows(start, stop)
    colours, planes = np.ascontiguousarray(piece[..., : strips.colours]), piece[..., strips.colours :]
    cells = grid.windows_between(lambda a, b: colours[a - start : b - start], top, bottom, strips.height)
    stitcher = Stitcher(grid, bottom - top, strips.width, strips.colours, strips.dtype, scale)
    broken = 0
    for subnet in np.unique(subnets):
        members = np.flatnonzero(subnets == subnet)
        for place in range(0, len(members), BATCH_TILES):
            tiles = members[place : place + BATCH_TILES]
            windows = cells.take(tiles)
            if subnet == 0:
                stitcher.add(tiles, interpolate_tiles(windows.pixels, grid, scale))
                continue
            upscaled = run(int(subnet), [windows])[0]
            stitcher.add(tiles, upscaled.pixels)
            broken += upscaled.not_finite
    if not strips.planes:
        return stitcher.image(), broken
    near = max(start, top - _PLANE_MARGIN)
    enlarged = enlarge_planes(planes[near - start :], scale)[(top - near) * scale :][: (bottom - top) * scale]
    return np.concatenate([stitcher.image(), enlarged], axis=2), broken


def _stage(output: ObjectStore, key: str, path: Path) -> tuple[StoredImage, str]:
    """Put a finished file into the output; where it is, and its SHA-256."""
    try:
        with path.open("rb") as file:
            sha256 = hash_stream(file)
        output.write_file(key, path)
    except (FileNotFoundError, ObjectError) as error:
        # What is wrong is the output's, and must not pass for a fault of the image.
        raise StoreError(str(error)) from error
    return StoredImage(None, key), sha256
