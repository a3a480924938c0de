"""Training inputs as archives hold them: reduced in several ways, blurred, noisy, and compressed as JPEG.

Nets that have seen nothing but clean bicubic reductions sharpen the artefacts of all others. Each crop is degraded
by chance, in the order in which pictures are: optics, reduction, misaligned channels of scans, noise, JPEG. In
spirit after BSRGAN (Zhang, Liang, Van Gool & Timofte, "Designing a Practical Degradation Model for Deep Blind
Image Super-Resolution", ICCV 2021) and Real-ESRGAN (Wang, Xie, Dong & Shan, ICCV Workshops 2021), far milder:
what cannot be known is not to be invented.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from arm_batch.core.arrays import Pixels8
from arm_batch.errors import ImageError
from arm_batch.training.choices import DegradeName
from arm_batch.training.data import downscale, downscale_crops

MARGIN = 8
"""LR px by which a crop is larger before it is degraded: blur then has true surroundings, and the grid of JPEG
blocks lies anywhere over what is kept."""

_SUBSAMPLING = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420)

Reduction = Callable[[Pixels8, int], Pixels8]


def _by_opencv(interpolation: int) -> Reduction:
    def reduce(hr: Pixels8, scale: int) -> Pixels8:
        size = (hr.shape[1] // scale, hr.shape[0] // scale)
        reduced: Pixels8 = cv2.resize(hr, size, interpolation=interpolation).astype(np.uint8, copy=False)
        return reduced

    return reduce


def _by_pillow(filter: Image.Resampling) -> Reduction:
    def reduce(hr: Pixels8, scale: int) -> Pixels8:
        size = (hr.shape[1] // scale, hr.shape[0] // scale)
        return np.array(Image.fromarray(hr).resize(size, filter))

    return reduce


REDUCTIONS: dict[str, Reduction] = {
    "bicubic": downscale,
    "area": _by_opencv(cv2.INTER_AREA),
    "lanczos": _by_pillow(Image.Resampling.LANCZOS),
    "linear": _by_pillow(Image.Resampling.BILINEAR),
    "aliased linear": _by_opencv(cv2.INTER_LINEAR),
    "aliased cubic": _by_opencv(cv2.INTER_CUBIC),
}
"""uint8 RGB ``(h, w, 3)`` and a scale that divides both sides to the reduced image. Only the last two do not
smooth before they leave out pixels."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What happens to crops that are not left clean.

    Attributes:
        reductions: chance of each of `REDUCTIONS`, in their order; they add up to 1.
        blur_chance: that the HR crop is blurred first,
        blur_sigma: by a Gaussian of a sigma in this range, in LR px.
        shift_chance: that red and blue of the LR crop are shifted, as scans have it,
        shift_px: by at most so much, LR px.
        noise_chance: that the LR crop gets noise,
        noise_sigma: with at most this standard deviation in mid grey, in levels of 255.
        jpeg_chance: that it is compressed as JPEG,
        jpeg_quality: at a quality in this range.
        again_chance: of JPEG crops, that they are compressed a second time.
    """

    reductions: tuple[float, ...]
    blur_chance: float
    blur_sigma: tuple[float, float]
    shift_chance: float
    shift_px: float
    noise_chance: float
    noise_sigma: float
    jpeg_chance: float
    jpeg_quality: tuple[int, int]
    again_chance: float


RECIPES: dict[DegradeName, Recipe | None] = {
    "none": None,
    "mild": Recipe(
        reductions=(0.5, 0.3, 0.1, 0.1, 0, 0),
        blur_chance=0.15,
        blur_sigma=(0.1, 0.4),
        shift_chance=0,
        shift_px=0,
        noise_chance=0.25,
        noise_sigma=3,
        jpeg_chance=0.5,
        jpeg_quality=(75, 95),
        again_chance=0.1,
    ),
    "archive": Recipe(
        reductions=(0.35, 0.25, 0.1, 0.1, 0.1, 0.1),
        blur_chance=0.25,
        blur_sigma=(0.1, 0.6),
        shift_chance=0.05,
        shift_px=0.5,
        noise_chance=0.45,
        noise_sigma=7,
        jpeg_chance=0.75,
        jpeg_quality=(30, 95),
        again_chance=0.15,
    ),
}


def degrade_crops(
    levels: Tensor, scale: int, recipe: Recipe, clean_share: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """LR crops of HR ones, degraded each in its own way, and what is kept of the HR crops.

    Args:
        levels: whole levels from 0 to 255, float64 ``(n, 3, s, s)``, with ``scale * MARGIN`` px too many.
        scale: upscaling factor.
        recipe: of those that are degraded.
        clean_share: of the crops, which are reduced by MATLAB's bicubic filter and nothing else.
        rng: the result follows from it and `levels`.

    Returns:
        Levels as they came, both without the margin, cut at a place of each crop's own.
    """
    count, side = len(levels), levels.shape[-1] // scale
    lr = levels.new_empty((count, 3, side, side))
    # Crops come in no order, but for the leaves on the first of them.
    order = rng.permutation(count)
    clean = order[: round(clean_share * count)]
    lr[clean] = downscale_crops(levels[clean], scale)
    for number in order[len(clean) :]:
        hr = np.ascontiguousarray(levels[number].permute(1, 2, 0).to(torch.uint8).numpy())
        lr[number] = torch.from_numpy(degrade(hr, scale, recipe, rng)).permute(2, 0, 1)
    corners = rng.integers(MARGIN + 1, size=(count, 2))
    return _cut(lr, corners, side - MARGIN), _cut(levels, corners * scale, (side - MARGIN) * scale)


def _cut(crops: Tensor, corners: np.ndarray, side: int) -> Tensor:
    pairs = zip(crops, corners.tolist(), strict=True)
    return torch.stack([crop[:, y : y + side, x : x + side] for crop, (y, x) in pairs])


def degrade(hr: Pixels8, scale: int, recipe: Recipe, rng: np.random.Generator) -> Pixels8:
    """One LR image of an HR one, uint8 RGB ``(h, w, 3)``, whose sides `scale` divides."""
    if rng.random() < recipe.blur_chance:
        sigma = scale * rng.uniform(*recipe.blur_sigma)
        hr = cv2.GaussianBlur(hr, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101).astype(np.uint8, copy=False)
    names = list(REDUCTIONS)
    lr = REDUCTIONS[names[int(rng.choice(len(names), p=recipe.reductions))]](hr, scale)
    if rng.random() < recipe.shift_chance:
        lr = shift_channels(lr, rng.uniform(-recipe.shift_px, recipe.shift_px, (2, 2)))
    if rng.random() < recipe.noise_chance:
        lr = add_noise(lr, rng.uniform(0, recipe.noise_sigma), rng.random(), rng)
    if rng.random() < recipe.jpeg_chance:
        for _ in range(1 + int(rng.random() < recipe.again_chance)):
            low, high = recipe.jpeg_quality
            lr = compress(lr, int(rng.integers(low, high + 1)), bool(rng.random() < 0.6))
    return lr


def shift_channels(image: Pixels8, offsets: np.ndarray) -> Pixels8:
    """Red and blue moved against green by ``offsets`` ``(2, 2)``: right and down of either, px."""
    shifted = image.copy()
    for channel, (right, down) in zip((0, 2), offsets.tolist(), strict=True):
        move = np.array([[1, 0, right], [0, 1, down]], np.float32)
        size = (image.shape[1], image.shape[0])
        plane = np.ascontiguousarray(image[..., channel])
        shifted[..., channel] = cv2.warpAffine(plane, move, size, borderMode=cv2.BORDER_REPLICATE)
    return shifted


def add_noise(image: Pixels8, sigma: float, shot_share: float, rng: np.random.Generator) -> Pixels8:
    """Sensor noise: its variance has a part that grows with the level (photons) and one that does not (readout).

    Args:
        image: uint8.
        sigma: standard deviation in mid grey, in levels.
        shot_share: of the variance there that grows with the level, in [0, 1].
        rng: draws it, for each sample by itself.
    """
    levels = image.astype(np.float32)
    variance = sigma**2 * (1 - shot_share + shot_share * levels / 127.5)
    noisy = levels + np.sqrt(variance) * rng.standard_normal(image.shape, np.float32)
    rounded: Pixels8 = np.rint(noisy).clip(0, 255).astype(np.uint8)
    return rounded


def compress(image: Pixels8, quality: int, subsampled: bool) -> Pixels8:
    """`image`, RGB, as JPEG leaves it, with chroma at half the resolution or at all of it.

    Raises:
        ImageError: OpenCV cannot write it.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SUBSAMPLING[subsampled]]
    written, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), options)
    if not written:
        raise ImageError(f"OpenCV cannot write a JPEG of {image.shape[1]} x {image.shape[0]} px")
    read = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert read is not None
    return np.ascontiguousarray(read[..., ::-1], dtype=np.uint8)
