"""Upscaling as a step of a Ray Data pipeline.

    import ray
    from arm_batch.ray_data import Upscaler

    photos = ray.data.read_images("s3://photos", include_paths=True)
    photos.map_batches(
        Upscaler, fn_constructor_kwargs={"budget": "40%"}, batch_size=64, num_cpus=1, concurrency=8
    )

Each batch has a budget of its own, a share of what the largest subnet would cost on it: a stream has no whole
archive to spend a budget on. Larger batches spend it better. For a budget over an archive, and a run that resumes,
there is the job, ``arm-batch upscale``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.allocation.histogram import Objective
from arm_batch.core.image_options import DEFAULT_WRITING, Reading, Writing
from arm_batch.core.large_images import DEFAULT_GIANTS
from arm_batch.core.tiling.alpha import fill_hidden
from arm_batch.core.tiling.grid import Pixels
from arm_batch.errors import BudgetError, ImageError, UsageError
from arm_batch.execution.in_memory import UpscaledPicture, upscale_pictures
from arm_batch.images import Picture, choose_format, decode, encode, fit_metadata
from arm_batch.models import inference
from arm_batch.models.ladder_files import find_ladder, load_ladder
from arm_batch.spec import DEFAULT_LADDER, DEFAULT_OBJECTIVE

Batch = dict[str, Any]

IN_MEMORY = Reading(max_pixels=DEFAULT_GIANTS.streamed)
"""Larger images are for the job, which reads them in strips; here, a few would fill the memory."""


class Upscaler:
    """A callable for `ray.data.Dataset.map_batches`, batches in the format ``numpy``.

    The column of images may hold arrays, uint8 or uint16 ``(h, w)`` or ``(h, w, c)`` with c of 1 (grey), 2 (and
    alpha), 3 (RGB) or 4 (and alpha), and gets arrays of the same kind; or files, as bytes or as Hugging Face's
    ``{"bytes": ..., "path": ...}``, and gets files. Columns that come beside it:

    - ``error``: why an image could not be upscaled, else None; the image then is None, or an array without pixels;
    - ``flops``: executed for it;
    - ``psnr_predicted_db``: NaN where there is none.

    All other columns pass through.

    Args:
        ladder: a shipped name or a folder.
        budget: a share, such as ``40%``.
        objective: what the budget is to make best.
        column: of the images.
        reading: how files are read; by default none of more than 2^26 px.
        writing: how files are written.
        device: ``cpu`` or ``cuda``; with ``cuda`` give `map_batches` ``num_gpus=1``.

    Raises:
        UsageError: the request makes no sense.
    """

    def __init__(
        self,
        ladder: str = DEFAULT_LADDER,
        budget: str = "100%",
        objective: Objective = DEFAULT_OBJECTIVE,
        column: str = "image",
        reading: Reading = IN_MEMORY,
        writing: Writing = DEFAULT_WRITING,
        device: str = "cpu",
    ) -> None:
        asked = parse_budget(budget)
        if asked.kind != "share":
            raise BudgetError(f"the budget {budget!r} is not a share such as 40%, and a stream can keep no other")
        files = load_ladder(find_ladder(ladder))
        self._ladder = files.ladder
        self._share = float(asked.amount)
        if self._share * int(self._ladder.costs[-1]) < int(self._ladder.costs[0]):
            raise BudgetError(f"the budget {budget} is less than interpolation alone needs")
        self._objective = objective
        self._column = column
        self._reading = reading
        self._writing = writing
        self._upscaler = inference.Upscaler(files.nets, self._ladder.grid, self._ladder.scale, device)

    def __call__(self, batch: Batch) -> Batch:
        """Upscale the images of a batch.

        Raises:
            UsageError: it has no such column.
        """
        if self._column not in batch:
            raise UsageError(f"there is no column {self._column!r} of images; there are: {', '.join(batch)}")
        values = list(batch[self._column])
        read = [self._read(value) for value in values]
        pictures = [picture for picture in read if isinstance(picture, Picture)]
        upscaled = iter(self._upscale(pictures))
        images: list[Any] = []
        errors: list[str | None] = []
        flops, predicted = np.zeros(len(values), np.int64), np.full(len(values), np.nan)
        for position, (value, picture) in enumerate(zip(values, read, strict=True)):
            try:
                if isinstance(picture, ImageError):
                    raise picture
                done = next(upscaled)
                flops[position] = done.flops
                if done.psnr_predicted_db is not None:
                    predicted[position] = done.psnr_predicted_db
                images.append(self._write(value, done.picture))
                errors.append(None)
            except ImageError as error:
                images.append(_nothing(value))
                errors.append(str(error))
        return batch | {
            self._column: _column(images),
            "error": np.array(errors, object),
            "flops": flops,
            "psnr_predicted_db": predicted,
        }

    def _upscale(self, pictures: Sequence[Picture]) -> list[UpscaledPicture]:
        if not pictures:
            return []
        return upscale_pictures(self._ladder, self._upscaler.run, self._objective, pictures, self._share)

    def _read(self, value: Any) -> Picture | ImageError:
        try:
            if isinstance(value, np.ndarray):
                return _picture_of(value)
            data = value["bytes"] if isinstance(value, dict) else value
            if data is None:
                raise ImageError("there is no image in this row")
            return decode(bytes(data), self._reading)
        except ImageError as error:
            return error

    def _write(self, value: Any, picture: Picture) -> Any:
        if isinstance(value, np.ndarray):
            bands = np.concatenate([picture.pixels, picture.planes], axis=2)
            return bands[..., 0] if value.ndim == 2 else bands
        if self._writing.strip_metadata:
            picture = replace(picture, metadata=picture.metadata.stripped())
        height, width = picture.pixels.shape[:2]
        format, _ = choose_format(
            self._writing.format,
            picture.format,
            height,
            width,
            picture.pixels.dtype,
            picture.has_alpha,
            picture.planes.shape[2],
        )
        data = encode(fit_metadata(picture, format), format, self._writing.quality)
        return value | {"bytes": data} if isinstance(value, dict) else data


def _picture_of(array: Pixels) -> Picture:
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3) or array.size == 0:
        raise ImageError(f"is no image: {array.dtype} of shape {array.shape}")
    bands = array[..., None] if array.ndim == 2 else array
    channels = bands.shape[2]
    if channels > 4:
        raise ImageError(f"has {channels} channels: 1 to 4 are taken")
    n_colours = 1 if channels < 3 else 3
    colours, planes = (np.ascontiguousarray(part) for part in (bands[..., :n_colours], bands[..., n_colours:]))
    if planes.shape[2]:
        colours = fill_hidden(colours, planes[..., 0])
    return Picture(colours, planes, has_alpha=planes.shape[2] == 1)


def _nothing(value: Any) -> Any:
    """What stands in place of an image that failed."""
    if isinstance(value, np.ndarray):
        return np.empty((0,) * value.ndim, value.dtype)
    return value | {"bytes": None} if isinstance(value, dict) else None


def _column(images: Sequence[Any]) -> Any:
    """One array where all are of one shape, as Ray Data holds them, else an array of objects."""
    first = images[0] if images else None
    if isinstance(first, np.ndarray) and all(image.shape == first.shape for image in images):
        return np.stack(images)
    column = np.empty(len(images), object)
    for position, image in enumerate(images):
        column[position] = image
    return column
