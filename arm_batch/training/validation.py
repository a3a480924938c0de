"""What a training is validated on: held-out crops of each kind of picture, as they are and with flaws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.tensors import bicubic
from arm_batch.training.data import Crops

CHUNK = 16
"""Crops that are upscaled together: what they need in memory is a matter of so many."""

LEAST_ERROR = 1e-8
"""Mean squared errors below it, less than any whole grey level, count as it: nothing is infinitely good."""

LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
"""BT.601, as `core.prediction.metrics.luma`, without its offset: errors have none."""


@dataclass(frozen=True)
class Group:
    """Crops of one kind.

    Attributes:
        pictures: what they show.
        inputs: what is wrong with their LR side.
        crops: LR and HR ones, as `CropSampler.sample` gives them.
    """

    pictures: str
    inputs: str
    crops: Crops


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What one subnet gains over bicubic interpolation on one group: mean over its crops, dB of Y."""

    pictures: str
    inputs: str
    width: int
    db: float


@dataclass(frozen=True)
class Validated:
    """What a validation finds.

    Attributes:
        psnr_db: over the pooled RGB error of all groups, outputs clamped to [0, 1], by width.
        gains: of each group and width.
    """

    psnr_db: dict[int, float]
    gains: tuple[Gain, ...]

    @property
    def is_finite(self) -> bool:
        """Whether every subnet still gives numbers."""
        return not any(map(math.isnan, self.psnr_db.values()))

    def mean_gains_db(self) -> dict[str, dict[int, float]]:
        """By inputs and width, each kind of picture counting the same."""
        found: dict[str, dict[int, list[float]]] = {}
        for gain in self.gains:
            found.setdefault(gain.inputs, {}).setdefault(gain.width, []).append(gain.db)
        return {
            inputs: {width: sum(dbs) / len(dbs) for width, dbs in by_width.items()}
            for inputs, by_width in found.items()
        }


def validate(supernet: Supernet, widths: Sequence[int], groups: Sequence[Group]) -> Validated:
    """Measure subnets on held-out crops, on the device that `supernet` is on."""
    psnr, gains = {}, []
    interpolate = bicubic(supernet.scale)
    device = next(supernet.parameters()).device
    with torch.no_grad():
        crops = [(lr.to(device), hr.to(device)) for lr, hr in (group.crops for group in groups)]
        base = [_luma_errors(interpolate(lr), hr) for lr, hr in crops]
        for width in widths:
            squares = []
            for group, (lr, hr), interpolated in zip(groups, crops, base, strict=True):
                output = torch.cat([supernet(part, width).clamp(0, 1) for part in torch.split(lr, CHUNK)])
                squares.append((output - hr).square().mean(dim=(1, 2, 3)))
                gain = (10 * (interpolated / _luma_errors(output, hr)).log10()).mean().item()
                gains.append(Gain(pictures=group.pictures, inputs=group.inputs, width=width, db=gain))
            psnr[width] = -10 * math.log10(torch.cat(squares).mean().clamp_min(LEAST_ERROR).item())
    return Validated(psnr, tuple(gains))


def _luma_errors(output: Tensor, hr: Tensor) -> Tensor:
    """Mean squared error of Y of each crop."""
    weights = torch.tensor(LUMA, device=hr.device)[:, None, None]
    error = ((output.clamp(0, 1) - hr) * weights).sum(dim=1)
    return error.square().mean(dim=(1, 2)).clamp_min(LEAST_ERROR)
