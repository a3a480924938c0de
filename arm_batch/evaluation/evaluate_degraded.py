"""What subnets gain over interpolation on inputs as archives have them, made from HR images by seeded code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from arm_batch.core.arrays import Pixels8
from arm_batch.evaluation.evaluate import measure, read_pairs, upscale_image
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.tensors import Forward, bicubic
from arm_batch.training.degradation import REDUCTIONS, add_noise, compress

WORSE_DB = 0.05
"""An image counts as worse than its interpolation from so much on."""

Degrade = Callable[[Pixels8, int, np.random.Generator], Pixels8]
"""HR image, scale and what draws its noise to its LR image."""


def _made(
    hr: Pixels8,
    scale: int,
    rng: np.random.Generator,
    reduction: str = "bicubic",
    noise: float = 0.0,
    quality: int | None = None,
) -> Pixels8:
    lr = REDUCTIONS[reduction](hr, scale)
    if noise:
        lr = add_noise(lr, noise, 0.0, rng)
    return lr if quality is None else compress(lr, quality, subsampled=True)


KINDS: dict[str, Degrade] = {
    "clean": _made,
    "jpeg90": partial(_made, quality=90),
    "jpeg75": partial(_made, quality=75),
    "jpeg50": partial(_made, quality=50),
    "noise5": partial(_made, noise=5.0),
    "area": partial(_made, reduction="area"),
    "area-jpeg85": partial(_made, reduction="area", quality=85),
    "aliased": partial(_made, reduction="aliased linear"),
}
"""By MATLAB's bicubic reduction where no other is named; JPEGs have colours of half the resolution."""


@dataclass(frozen=True, kw_only=True)
class DegradedQuality:
    """What one subnet gains on one kind of inputs.

    Attributes:
        kind: a key of `KINDS`.
        name: backbone and width, as in ``fsrcnn-36``.
        images: how many were measured.
        interpolated_y_db: PSNR of Y of bicubic interpolation, mean over images.
        gain_y_db: over it, mean over images.
        worse: share of the images that come out worse than interpolated by more than `WORSE_DB`.
    """

    kind: str
    name: str
    images: int
    interpolated_y_db: float
    gain_y_db: float
    worse: float


def evaluate_degraded(
    nets: Sequence[tuple[Supernet, Sequence[int]]],
    data: Path,
    kinds: Sequence[str],
    limit: int | None = None,
) -> list[DegradedQuality]:
    """Measure subnets on whole images, as many px shaved as the scale.

    Args:
        nets: supernets of one scale, and the widths to measure of each.
        data: a folder as `read_pairs` reads; of its LR images only the names matter.
        kinds: keys of `KINDS`.
        limit: measure only the first so many images.

    Returns:
        A row for each kind and width.

    Raises:
        InputError: as `read_pairs`, or images too small to measure.
    """
    scale = nets[0][0].scale
    networks: dict[str, Forward] = {
        f"{supernet.backbone.name}-{width}": supernet.subnet(width)
        for supernet, widths in nets
        for width in widths
    }
    measured: dict[str, list[list[float]]] = {kind: [] for kind in kinds}
    for kind, file, lr, hr in _inputs(data, scale, kinds, limit):
        upscaled = (upscale_image(lr, network) for network in (bicubic(scale), *networks.values()))
        measured[kind].append([measure(sr, hr, scale, file).psnr_y_db for sr in upscaled])
    return [row for kind in kinds for row in _rows(kind, list(networks), np.array(measured[kind]))]


def _inputs(
    data: Path, scale: int, kinds: Sequence[str], limit: int | None
) -> Iterator[tuple[str, str, Pixels8, Pixels8]]:
    for number, (file, pair) in enumerate(read_pairs(data, scale, limit)):
        for kind in kinds:
            # The same noise whatever else is measured.
            yield kind, file, KINDS[kind](pair.hr, scale, np.random.default_rng(number)), pair.hr


def _rows(kind: str, names: Sequence[str], y_db: np.ndarray) -> list[DegradedQuality]:
    """`y_db`: ``(images, 1 + names)``, interpolation first."""
    gains = y_db[:, 1:] - y_db[:, :1]
    return [
        DegradedQuality(
            kind=kind,
            name=name,
            images=len(y_db),
            interpolated_y_db=float(y_db[:, 0].mean()),
            gain_y_db=float(gain.mean()),
            worse=float((gain < -WORSE_DB).mean()),
        )
        for name, gain in zip(names, gains.T, strict=True)
    ]
