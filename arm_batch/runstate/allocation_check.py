"""Whether an allocation that was read fits together: its record, its tables and its generation."""

from __future__ import annotations

from collections.abc import Sequence

from arm_batch.core.allocation.histogram import Histogram, ShardHistogram, add_up
from arm_batch.runstate.allocation_record import AllocationRecord
from arm_batch.runstate.generation import Generation


def misfit(
    allocation_record: AllocationRecord,
    parts: Sequence[ShardHistogram],
    subnet_tiles: Sequence[int],
    generation: Generation,
    revision: int,
) -> str | None:
    """What of an allocation contradicts the rest of it; ``None`` for nothing.

    Args:
        allocation_record: as it was read.
        parts: the histogram of each shard, with revision 0.
        subnet_tiles: what its document says of all tiles, by subnet.
        generation: whose allocation it is to be.
        revision: its number.
    """
    histogram, tiles = allocation_record.histogram, allocation_record.allocation.tiles
    n_classes = len(histogram.tiles)
    if histogram.images.shape != (n_classes,) or histogram.pixels.shape != (n_classes,):
        return "its classes differ"
    if not histogram.is_sound:
        return "it counts images without pixels or tiles, or these without images"
    if tiles.sum(axis=(0, 1)).tolist() != list(subnet_tiles) or len(allocation_record.costs) != tiles.shape[2]:
        return "its tiles by subnet differ"
    if not _are_of(generation, allocation_record.shards, revision) or (
        revision == 0 and len(parts) != generation.shards
    ):
        return "its shards are not those of the generation"
    return None if revision > 0 else _misfit_of_parts(histogram, parts)


def _are_of(generation: Generation, shards: Sequence[int], revision: int) -> bool:
    """Whether shards are such as an allocation may be for: the first one is for all."""
    in_order = list(shards) == sorted(set(shards)) and all(shard < generation.shards for shard in shards)
    return in_order and (revision > 0 or len(shards) == generation.shards)


def _misfit_of_parts(histogram: Histogram, parts: Sequence[ShardHistogram]) -> str | None:
    n_classes, n_bins = histogram.tiles.shape
    if not all(part.lies_in(n_classes, n_bins) for part in parts):
        return "a shard counts what is not there"
    counted = add_up(parts, n_classes, n_bins)
    pairs = (
        (counted.tiles, histogram.tiles),
        (counted.images, histogram.images),
        (counted.pixels, histogram.pixels),
    )
    return None if all((one == other).all() for one, other in pairs) else "its shards do not add up"
