"""What is done with each file: what a job does with an image, from its bytes to those of the output."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass

import numpy as np

from arm_batch.core.image_options import AUTO, Reading
from arm_batch.core.large_images import LargeImages
from arm_batch.errors import ImageError
from arm_batch.execution.in_memory import upscale_pictures
from arm_batch.images import FORMATS, Picture, choose_format, decode, encode, fit_metadata
from arm_batch.images.streaming import open_strips, read_through
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import LadderFiles, load_ladder

MAX_PIXELS = 2**16

_STREAMED = 0.3
"""How many files are also read as large images are: in strips."""


class WrongError(AssertionError):
    """Something came out that must not."""


@dataclass(frozen=True)
class Upscaling:
    """The ladder and its nets, loaded once."""

    files: LadderFiles
    upscaler: Upscaler

    @staticmethod
    def shipped() -> Upscaling:
        """With the ladder that comes with the package."""
        files = load_ladder("fsrcnn-x4")
        return Upscaling(files, Upscaler(files.nets, files.ladder.grid, files.ladder.scale, "cpu"))

    def take_through(self, data: bytes, rng: random.Random) -> str:
        """Read, score, upscale and write a file, as far as it goes.

        Args:
            data: the file.
            rng: decides about the options.

        Returns:
            What became of it, in few words: the same words for the same way through the code, mostly.

        Raises:
            WrongError: what came out makes no sense.
            Exception: anything but `ImageError` is a defect.
        """
        reading = Reading(
            max_pixels=MAX_PIXELS,
            to_srgb=rng.random() < 0.3,
            float_range=(0, 1) if rng.random() < 0.9 else None,
            frames=rng.choice(("first", "first", "first", "refuse", 0, 1)),
        )
        in_strips = _read_in_strips(data, reading) if rng.random() < _STREAMED else None
        try:
            picture = decode(data, reading)
        except ImageError as error:
            return f"not read: {_without_numbers(str(error))}"
        _check(picture)
        if in_strips not in (None, sorted(picture.pixels.shape[:2])):
            raise WrongError(f"{in_strips} in strips, {picture.pixels.shape} at once")
        share = rng.choice((0.05, 0.05, 1.0)) if picture.pixels[..., 0].size < 4096 else 0.05
        (upscaled,) = upscale_pictures(self.files.ladder, self.upscaler.run, "image-psnr", [picture], share)
        wanted = rng.choice((AUTO, AUTO, *FORMATS))
        return f"{_kind(picture)} as {self._write(upscaled.picture, picture.format, wanted, rng)}"

    def _write(self, picture: Picture, source: str, wanted: str, rng: random.Random) -> str:
        height, width, _ = picture.pixels.shape
        format, _ = choose_format(
            wanted, source, height, width, picture.pixels.dtype, picture.has_alpha, picture.planes.shape[2]
        )
        picture = fit_metadata(picture, format)
        # What could be read, and was paid for, must come out.
        again = decode(encode(picture, format, rng.choice((50, 95))))
        if again.pixels.shape[:2] != (height, width):
            raise WrongError(f"{again.pixels.shape} was written in place of {picture.pixels.shape}")
        if FORMATS[format].sixteen_bit and not _same(picture, again):
            raise WrongError(f"{format} gives back other samples")
        return format


def _read_in_strips(data: bytes, reading: Reading) -> list[int] | None:
    """The sides of an image, the shorter one first, for strips are not turned; None for one that fails."""
    try:
        strips = open_strips(io.BytesIO(data), reading, LargeImages(pixels=1, streamed=1))
        read_through(strips)
    except ImageError:
        return None
    return sorted((strips.height, strips.width))


def _same(before: Picture, after: Picture) -> bool:
    shown = before.planes[..., :1] > 0 if before.has_alpha else np.True_
    pixels = np.where(shown, before.pixels, 0), np.where(shown, after.pixels, 0)
    if before.has_alpha and not after.has_alpha:
        # It is opaque everywhere once it is interpolated.
        return bool((before.planes[..., 0] == np.iinfo(before.planes.dtype).max).all())
    return np.array_equal(*pixels) and np.array_equal(before.planes, after.planes)


def _check(picture: Picture) -> None:
    height, width, channels = picture.pixels.shape
    if channels not in (1, 3) or not 0 < height * width <= MAX_PIXELS:
        raise WrongError(f"pixels of shape {picture.pixels.shape}")
    if picture.planes.shape[:2] != (height, width) or picture.planes.shape[2] < picture.has_alpha:
        raise WrongError(f"planes of shape {picture.planes.shape}")
    if picture.pixels.dtype != picture.planes.dtype or picture.pixels.dtype not in (np.uint8, np.uint16):
        raise WrongError(f"samples of {picture.pixels.dtype} and {picture.planes.dtype}")


def _kind(picture: Picture) -> str:
    metadata = picture.metadata
    present = [name for name in ("icc", "exif", "xmp", "dpi") if getattr(metadata, name) is not None]
    notes = [_without_numbers(note) for note in picture.notes]
    shape = f"{picture.pixels.shape[2]}+{picture.planes.shape[2]} {picture.pixels.dtype}"
    return f"{picture.format} {shape} {picture.has_alpha} {present} {notes}"


def _without_numbers(text: str) -> str:
    return "".join(character for character in text if not character.isdigit())[:120]
