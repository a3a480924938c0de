"""What options of `upscale` and `plan` mean, as people write them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from arm_batch.core.image_options import Reading, parse_float_range, parse_frames
from arm_batch.core.progress import Progress
from arm_batch.core.selection.sample import parse_sample
from arm_batch.core.selection.selection import Selection
from arm_batch.core.selection.sizes import parse_size

Where = str | os.PathLike[str]
Patterns = str | Sequence[str]
Tell = Callable[[Progress], None]
"""Told how far a run has come, whenever that changes."""


def silent(progress: Progress) -> None:
    """A progress callback that tells nobody."""


def selection_of(
    include: Patterns,
    exclude: Patterns,
    min_size: str | None,
    skip_larger_than: str | None,
    limit: int | None,
    sample: str | None,
    seed: int,
) -> Selection:
    """The selection that these options describe; `UsageError` where one cannot be read."""
    included, excluded = ((given,) if isinstance(given, str) else tuple(given) for given in (include, exclude))
    drawn = None if sample is None else parse_sample(sample)
    return Selection(
        include=included,
        exclude=excluded,
        min_size=None if min_size is None else parse_size(min_size),
        skip_larger_than=None if skip_larger_than is None else parse_size(skip_larger_than),
        limit=limit,
        sample=drawn,
        seed=seed,
    )


def reading_of(
    max_pixels: int, to_srgb: bool, float_range: str | None, frames: str, column: str | None
) -> Reading:
    """What these options say; `UsageError` where they make no sense."""
    levels = None if float_range is None else parse_float_range(float_range)
    return Reading(
        max_pixels=max_pixels, to_srgb=to_srgb, float_range=levels, frames=parse_frames(frames), column=column
    )
