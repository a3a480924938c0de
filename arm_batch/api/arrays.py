"""`Upscaler`: one image that is an array, as in a notebook."""

from __future__ import annotations

import os
from dataclasses import dataclass

from arm_batch.core.allocation.measures import Objective
from arm_batch.core.arrays import Pixels
from arm_batch.errors import ImageError, UsageError
from arm_batch.execution.in_memory import InMemoryUpscaler, array_of, picture_of
from arm_batch.models.ladder_files import LadderFiles
from arm_batch.spec import DEFAULT_LADDER, DEFAULT_OBJECTIVE


@dataclass(frozen=True, kw_only=True)
class UpscaledArray:
    """What became of an image.

    Attributes:
        pixels: the upscaled image, of the dtype and channels of the one given.
        flops: executed for it.
        psnr_predicted_db: from the ladder's table; None where no net was asked for.
        notes: what else is to be said of it.
    """

    pixels: Pixels
    flops: int
    psnr_predicted_db: float | None
    notes: tuple[str, ...]


class Upscaler:
    """Upscales one image at a time, as a job with that image alone would.

    It is cut into the ladder's tiles, and the budget says how many of them get which subnet. Reused, it need not
    load the ladder again. For batches in Ray Data there is `arm_batch.ray_data.Upscaler`.

    Args:
        ladder: a shipped name, a folder, or what `load_ladder` gave.
        budget: a share of what the largest subnet costs on all tiles of the image, such as ``40%``.
        objective: what the budget is to make best: ``image-psnr``, ``psnr`` or ``mse``.
        device: ``cpu`` or ``cuda``.
        threads: of torch on CPUs, in the whole process; the bytes are those of a job with one.

    Raises:
        LadderError: there is no such ladder, or it is damaged.
        BudgetError: the budget is no share, or less than interpolation alone needs.
        UsageError: something else makes no sense.

    >>> import numpy, arm_batch
    >>> upscaler = arm_batch.Upscaler("fsrcnn-x4", budget="40%")
    >>> upscaler(numpy.zeros((30, 20, 3), numpy.uint8)).shape
    (120, 80, 3)
    >>> upscaler(numpy.zeros((30, 20), numpy.uint16)).dtype
    dtype('uint16')
    >>> upscaler(numpy.zeros((30, 20, 3)))
    Traceback (most recent call last):
    arm_batch.errors.UsageError: is no image: float64 of shape (30, 20, 3); uint8 or uint16, (h, w) or (h, w, c)
    """

    def __init__(
        self,
        ladder: str | os.PathLike[str] | LadderFiles = DEFAULT_LADDER,
        *,
        budget: str = "100%",
        objective: Objective = DEFAULT_OBJECTIVE,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        self._upscaler = InMemoryUpscaler(ladder, budget, objective, device, threads)

    @property
    def scale(self) -> int:
        """The factor for height and width."""
        return self._upscaler.ladder.scale

    def __call__(self, image: Pixels) -> Pixels:
        """Upscale an image.

        Args:
            image: uint8 or uint16, ``(h, w)`` or ``(h, w, c)`` with c of 1 (grey), 2 (and alpha), 3 (RGB) or 4
                (and alpha).

        Returns:
            ``(h * scale, w * scale)``, with c as it was, of the same dtype.

        Raises:
            UsageError: that is no such array.
        """
        return self.upscale(image).pixels

    def upscale(self, image: Pixels) -> UpscaledArray:
        """Upscale an image, and tell what was spent on it; see `__call__`.

        >>> import numpy, arm_batch
        >>> ramp = numpy.arange(64 * 64, dtype=numpy.uint16).reshape(64, 64)
        >>> done = arm_batch.Upscaler(budget="40%").upscale(ramp)
        >>> done.pixels.shape, done.flops > 0, done.psnr_predicted_db > 0
        ((256, 256), True, True)
        """
        try:
            picture = picture_of(image)
        except ImageError as error:
            raise UsageError(str(error)) from None
        (done,) = self._upscaler.run([picture])
        return UpscaledArray(
            pixels=array_of(done.picture, image.ndim),
            flops=done.flops,
            psnr_predicted_db=done.psnr_predicted_db,
            notes=done.picture.notes,
        )
