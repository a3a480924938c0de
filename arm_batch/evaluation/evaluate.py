"""Measuring the subnets of a supernet on a folder of paired images, as papers report them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from arm_batch.core.arrays import Pixels8
from arm_batch.core.prediction.ladder import INTERPOLATION, interpolation_flops
from arm_batch.core.prediction.metrics import luma, psnr, ssim
from arm_batch.errors import InputError
from arm_batch.models.backbones.flops import Flops
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.tensors import Forward, bicubic, to_pixels, to_tensor
from arm_batch.training.data import EXTENSIONS, Pair

FLOPS_TILE_PX = 32
"""FLOPs are told for one LR tile of this side, as in the published tables."""


@dataclass(frozen=True)
class Quality:
    """What is measured on one image, or its mean over images.

    Attributes:
        psnr_rgb_db: over all three channels.
        psnr_y_db: of the BT.601 luma, the figure of most papers.
        ssim_y: structural similarity of the same luma.
    """

    psnr_rgb_db: float
    psnr_y_db: float
    ssim_y: float


@dataclass(frozen=True, kw_only=True)
class SubnetQuality:
    """One line of an evaluation.

    Attributes:
        name: ``bicubic``, or backbone and width as in ``fsrcnn-36``.
        images: how many were measured.
        quality: mean over them.
        flops: executed for 32x32 px of an LR image.
        paper_flops: the same in the convention of the published tables.
    """

    name: str
    images: int
    quality: Quality
    flops: float
    paper_flops: float


def evaluate(
    supernet: Supernet, data: Path, widths: tuple[int, ...] | None = None, limit: int | None = None
) -> list[SubnetQuality]:
    """Measure bicubic interpolation and subnets on whole images, as many px shaved as the scale.

    Args:
        supernet: whose subnets to measure.
        data: a folder with ``HR/`` and ``LRx<scale>/``, see `read_pairs`.
        widths: of the subnets; all published widths by default.
        limit: measure only the first so many images.

    Returns:
        One row for interpolation, then one for each width.

    Raises:
        InputError: the folder does not hold such pairs, or images too small to measure.
        UsageError: a width that the backbone does not have.
    """
    scale, tile = supernet.scale, FLOPS_TILE_PX
    networks: dict[str, Forward] = {INTERPOLATION: bicubic(scale)}
    costs = {INTERPOLATION: Flops(interpolation_flops(scale, tile), paper=0)}
    for width in supernet.backbone.widths if widths is None else widths:
        name = f"{supernet.backbone.name}-{width}"
        networks[name] = supernet.subnet(width)
        costs[name] = supernet.flops(width, tile, tile)
    measured: dict[str, list[Quality]] = {name: [] for name in networks}
    for file, pair in read_pairs(data, scale, limit):
        for name, network in networks.items():
            measured[name].append(measure(upscale_image(pair.lr, network), pair.hr, scale, file))
    return [
        SubnetQuality(
            name=name,
            images=len(values),
            quality=mean_quality(values),
            flops=costs[name].executed,
            paper_flops=costs[name].paper,
        )
        for name, values in measured.items()
    ]


def measure(sr: Pixels8, hr: Pixels8, shave: int, file: str) -> Quality:
    """Compare uint8 RGB images without `shave` px at each border; `file` is named when they are too small."""
    y, reference = luma(sr), luma(hr)
    try:
        return Quality(psnr(sr, hr, shave), psnr(y, reference, shave), ssim(y, reference, shave))
    except ValueError as error:
        raise InputError(f"{file}: {error}") from error


def mean_quality(values: Sequence[Quality]) -> Quality:
    """The mean of each figure over images, as papers report it."""
    return Quality(*np.mean([astuple(value) for value in values], axis=0).tolist())


def read_pairs(data: Path, scale: int, limit: int | None = None) -> Iterator[tuple[str, Pair]]:
    """Read ``data/LRx<scale>/NAME`` and ``data/HR/NAME`` one after the other, by name.

    HR images whose sides `scale` does not divide are cropped at the right and bottom, as is the custom.

    Yields:
        File name and pair.

    Raises:
        InputError: no LR images, one without its HR image, one that cannot be read, or sizes that do not fit.
    """
    folder = data / f"LRx{scale}"
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in EXTENSIONS)[:limit]
    if not paths:
        raise InputError(f"no images in {folder}")
    for path in paths:
        lr, hr = _read_rgb(path), _read_rgb(data / "HR" / path.name)
        height, width = scale * lr.shape[0], scale * lr.shape[1]
        if not (0 <= hr.shape[0] - height < scale and 0 <= hr.shape[1] - width < scale):
            raise InputError(f"{path}: the HR image is not {scale} times as large")
        yield path.name, Pair(lr, np.ascontiguousarray(hr[:height, :width]))


def upscale_image(lr: Pixels8, network: Forward) -> Pixels8:
    """Upscale uint8 RGB ``(h, w, 3)`` in one piece; clamped and rounded to uint8."""
    with torch.no_grad():
        (pixels,) = to_pixels(network(to_tensor(lr[None])))
    return np.asarray(pixels, np.uint8)


def _read_rgb(path: Path) -> Pixels8:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise InputError(f"{path}: missing or not a readable image")
    return np.ascontiguousarray(bgr[..., ::-1], dtype=np.uint8)
