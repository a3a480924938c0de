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

from arm_batch.core.allocation.measures import Objective
from arm_batch.core.image_options import DEFAULT_WRITING, Reading, Writing
from arm_batch.core.large_images import DEFAULT_LARGE_IMAGES
from arm_batch.errors import ImageError, UsageError
from arm_batch.execution.in_memory import InMemoryUpscaler, array_of, picture_of
from arm_batch.images import Picture, choose_format, decode, encode, fit_metadata
from arm_batch.spec import DEFAULT_LADDER, DEFAULT_OBJECTIVE

Batch = dict[str, Any]

IN_MEMORY = Reading(max_pixels=DEFAULT_LARGE_IMAGES.streamed)
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
        self._upscaler = InMemoryUpscaler(ladder, budget, objective, device)
        self._column = column
        self._reading = reading
        self._writing = writing

    def __call__(self, batch: Batch) -> Batch:
        """Upscale the images of a batch.

        Raises:
            UsageError: it has no such column, or holds one image in place of a batch.
        """
        if self._column not in batch:
            raise UsageError(f"there is no column {self._column!r} of images; there are: {', '.join(batch)}")
        _check_column(self._column, batch[self._column])
        values = list(batch[self._column])
        read = [self._read(value) for value in values]
        pictures = [picture for picture in read if isinstance(picture, Picture)]
        upscaled = iter(self._upscaler.run(pictures))
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

    def _read(self, value: Any) -> Picture | ImageError:
        try:
            if isinstance(value, np.ndarray):
                return picture_of(value)
            data = value["bytes"] if isinstance(value, dict) else value
            if data is None:
                raise ImageError("there is no image in this row")
            return decode(bytes(data), self._reading)
        except ImageError as error:
            return error

    def _write(self, value: Any, picture: Picture) -> Any:
        if isinstance(value, np.ndarray):
            return array_of(picture, value.ndim)
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


def _check_column(name: str, values: object) -> None:
    """Refuse one image in place of many: its rows would be taken for images.

    Raises:
        UsageError: it is one, or no column at all.
    """
    if not isinstance(values, np.ndarray | list | tuple):
        raise UsageError(f"the column {name!r} is a {type(values).__name__}: give a batch of images, (n, h, w, c)")
    numbers = isinstance(values, np.ndarray) and values.dtype.kind in "buif" and values.size
    if (
        isinstance(values, np.ndarray)
        and numbers
        and (values.ndim < 3 or (values.ndim == 3 and values.shape[2] <= 4))
    ):
        raise UsageError(
            f"the column {name!r} of shape {values.shape} is one image: give a batch of them, (n, h, w, c)"
        )


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
