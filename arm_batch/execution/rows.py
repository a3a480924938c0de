"""The rows that tell what became of images."""

from __future__ import annotations

from dataclasses import dataclass, replace

from arm_batch.core.arrays import Indices
from arm_batch.execution.messages import JobContext
from arm_batch.runstate.rows import ImageRecord, StoredImage, image_id
from arm_batch.runstate.shard_plan import ImagePlan


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """An output image.

    Attributes:
        stored: the encoded image, or where it lies.
        sha256: hex, of the encoded image.
        channels: alpha and further bands included.
        bit_depth: per channel.
        notes: for the user.
    """

    stored: StoredImage
    sha256: str
    channels: int
    bit_depth: int
    notes: tuple[str, ...]


def done_record(context: JobContext, image: ImagePlan, subnets: Indices, encoded: Encoded) -> ImageRecord:
    """The row of an image that was upscaled, with `subnets` by tile."""
    ladder = context.ladder
    # What is interpolated out of nobody's budget has neither tiles nor FLOPs to tell of.
    counted = subnets[:0] if image.is_interpolated else subnets
    counts = ladder.lut.counts(image.scores, counted, len(ladder.subnets))
    per_subnet = counts.sum(axis=0)
    predicted = ladder.lut.psnr_of(counts, image.height * image.width / ladder.grid.tile**2)
    return ImageRecord(
        id=image_id(image.entry.path),
        path=image.entry.path,
        status="ok",
        error=None,
        width=image.width * ladder.scale,
        height=image.height * ladder.scale,
        scale=ladder.scale,
        channels=encoded.channels,
        bit_depth=encoded.bit_depth,
        format=image.format,
        image=encoded.stored,
        flops=int(per_subnet @ ladder.costs),
        tiles=len(counted),
        subnet_tiles=tuple(per_subnet.tolist()),
        psnr_predicted_db=predicted if len(counted) and ladder.lut.reference is None else None,
        source_size=image.source_size,
        source_etag=image.entry.etag,
        sha256=encoded.sha256,
        notes=encoded.notes,
    )


def copied_record(context: JobContext, image: ImagePlan, first: ImageRecord) -> ImageRecord:
    """The row of a copy: the first one's output under its own name, at no cost; or its failure.

    Where that is a file of its own already, as a large image's is, both name the same.
    """
    if first.image is None:
        return failed_record(context, image, first.error or "")
    is_file = first.image.bytes is None
    return replace(
        first,
        id=image_id(image.entry.path),
        path=image.entry.path,
        image=first.image if is_file else replace(first.image, path=image.output),
        flops=0,
        tiles=0,
        subnet_tiles=(0,) * len(first.subnet_tiles),
        source_etag=image.entry.etag,
        copy_of=first.path,
        sidecar=None,
    )


def failed_record(context: JobContext, image: ImagePlan, error: str) -> ImageRecord:
    """The row of an image that could not be upscaled."""
    return ImageRecord(
        id=image_id(image.entry.path),
        path=image.entry.path,
        status="failed",
        error=error,
        width=None,
        height=None,
        scale=context.ladder.scale,
        channels=None,
        bit_depth=None,
        format=None,
        image=None,
        flops=0,
        tiles=0,
        subnet_tiles=(0,) * len(context.ladder.subnets),
        psnr_predicted_db=None,
        source_size=image.source_size,
        source_etag=image.entry.etag,
        sha256=None,
        notes=image.notes,
        copy_of=image.entry.copy_of,
    )


def note_of_not_finite(tiles: int) -> tuple[str, ...]:
    """What to say of tiles on which nets failed; nothing where there are none."""
    return (f"tiles interpolated because the net's output was not finite: {tiles}",) if tiles else ()
