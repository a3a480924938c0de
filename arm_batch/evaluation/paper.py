"""The inference protocol of the published ARM code, so that its figures can be reproduced.

Source: Chen et al., "ARM: Any-Time Super-Resolution Method", ECCV 2022, and its code, whose habits are kept
even where this package does otherwise: the remainder at the right and bottom is dropped, each patch
is scored without its surroundings, and overlaps are averaged after rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from arm_batch.core.arrays import Floats, Indices, Pixels8, Singles
from arm_batch.core.prediction.metrics import psnr
from arm_batch.core.tiling.scores import laplacian_map
from arm_batch.errors import InputError
from arm_batch.evaluation.evaluate import read_pairs
from arm_batch.evaluation.paper_lut import PATCH, PaperLut
from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.checkpoint import load_supernet
from arm_batch.models.tensors import Forward, bicubic, to_pixels, to_tensor
from arm_batch.training.data import Pair

STEP = 28
"""From one patch to the next, LR px: neighbours share 4."""

ETAS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Trade-offs reported, in FLOPs of the widest subnet per dB."""

MEAN = "mean"
"""Stands for the file name in rows over all images."""

_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class PaperResult:
    """One image (or the mean) under one policy.

    Attributes:
        image: file name, or `MEAN`.
        policy: ``fixed:W`` for one width everywhere (0 is interpolation), ``eta:Kx`` for the published rule.
        psnr_rgb_db: scale px shaved; for `MEAN` the mean over images.
        flops_percent: in the paper's convention, of the widest subnet; for `MEAN` over all patches.
    """

    image: str
    policy: str
    psnr_rgb_db: float
    flops_percent: float


@dataclass(frozen=True, kw_only=True)
class PatchOutputs:
    """What every subnet makes of every patch of one image.

    Attributes:
        rows: of patches.
        columns: of patches.
        scores: edge score of each patch, row by row, ``(n,)``.
        pixels: uint8 RGB ``(n_subnets, n, scale * PATCH, scale * PATCH, 3)``.
    """

    rows: int
    columns: int
    scores: Floats
    pixels: Pixels8

    def combine(self, choice: Indices) -> Singles:
        """The image in which patch ``i`` comes from subnet ``choice[i]``.

        Returns:
            float32 RGB in grey levels; multiples of 1/4, because averages are not rounded again.
        """
        side = self.pixels.shape[2]
        step, overlap = STEP * side // PATCH, (PATCH - STEP) * side // PATCH
        size = ((self.rows - 1) * step + side, (self.columns - 1) * step + side, 3)
        image = np.zeros(size, np.float32)
        for i, subnet in enumerate(choice):
            row, column = divmod(i, self.columns)
            cell = image[row * step : row * step + side, column * step : column * step + side]
            cell += self.pixels[subnet, i]
        for column in range(1, self.columns):
            image[:, column * step : column * step + overlap] /= 2
        for row in range(1, self.rows):
            image[row * step : row * step + overlap] /= 2
        return image


def run_subnets(lr: Pixels8, subnets: Sequence[Forward]) -> PatchOutputs:
    """Cut an image into the protocol's patches, score them and run every subnet on every patch.

    Args:
        lr: uint8 RGB ``(h, w, 3)``.
        subnets: by cost.

    Raises:
        InputError: a side of less than one patch.
    """
    tops, lefts = (range(0, side - PATCH + 1, STEP) for side in lr.shape[:2])
    if not tops or not lefts:
        raise InputError(f"{lr.shape[1]}x{lr.shape[0]} px is smaller than one patch of {PATCH} px")
    patches = np.stack([lr[y : y + PATCH, x : x + PATCH] for y in tops for x in lefts])
    scores = np.array([laplacian_map(patch).mean() for patch in patches], np.float64)
    outputs = []
    with torch.no_grad():
        for subnet in subnets:
            batches = torch.split(to_tensor(patches), _BATCH)
            outputs.append(np.concatenate([to_pixels(subnet(batch)) for batch in batches]))
    return PatchOutputs(rows=len(tops), columns=len(lefts), scores=scores, pixels=np.stack(outputs))


def load_subnets(weights: Path, lut: PaperLut) -> list[Forward]:
    """The subnets that a LUT's columns stand for, with interpolation first.

    Raises:
        LadderError: the weights are missing, damaged or not of the LUT's backbone and scale.
    """
    supernet = load_supernet(weights, get_backbone(lut.backbone), lut.scale)
    return [bicubic(lut.scale), *(supernet.subnet(width) for width in lut.widths[1:])]


def evaluate_paper(weights: Path, lut: Path, data: Path, limit: int | None = None) -> list[PaperResult]:
    """Run the published protocol over a folder of pairs.

    Args:
        weights: a supernet, ``.pth`` or ``.safetensors``.
        lut: its table, see `PaperLut.from_json_file`.
        data: a folder with ``HR/`` and ``LRx<scale>/``, see `read_pairs`.
        limit: only the first so many images.

    Returns:
        For each image a row per fixed width and per eta of `ETAS`; at the end the same over all images.

    Raises:
        InputError: the folder does not hold such pairs, or an image is smaller than one patch.
        LadderError: weights or LUT are missing, damaged or do not belong together.
    """
    table = PaperLut.from_json_file(lut)
    subnets = load_subnets(weights, table)
    results: list[PaperResult] = []
    patches: list[int] = []
    for name, pair in read_pairs(data, table.scale, limit):
        outputs = run_subnets(pair.lr, subnets)
        results += _image_results(name, pair, outputs, table)
        patches.append(len(outputs.scores))
    return results + _mean_results(results, patches)


def policies(lut: PaperLut, scores: Floats) -> dict[str, Indices]:
    """What each policy chooses for patches with these scores ``(n,)``, by the policy's name."""
    chosen = {f"fixed:{w}": np.full(len(scores), i, np.intp) for i, w in enumerate(lut.widths)}
    chosen |= {f"eta:{eta:g}x": lut.choose(scores, eta) for eta in ETAS}
    return chosen


def _image_results(name: str, pair: Pair, outputs: PatchOutputs, lut: PaperLut) -> list[PaperResult]:
    results = []
    for policy, choice in policies(lut, outputs.scores).items():
        sr = outputs.combine(choice)
        covered = pair.hr[: sr.shape[0], : sr.shape[1]]
        results.append(
            PaperResult(
                image=name,
                policy=policy,
                psnr_rgb_db=psnr(sr, covered, lut.scale),
                flops_percent=lut.flops_percent(choice),
            )
        )
    return results


def _mean_results(results: list[PaperResult], patches: list[int]) -> list[PaperResult]:
    means = []
    for policy in dict.fromkeys(r.policy for r in results):
        rows = [r for r in results if r.policy == policy]
        mean_psnr = float(np.mean([r.psnr_rgb_db for r in rows]))
        flops = float(np.average([r.flops_percent for r in rows], weights=patches))
        means.append(PaperResult(image=MEAN, policy=policy, psnr_rgb_db=mean_psnr, flops_percent=flops))
    return means
