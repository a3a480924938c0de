"""Making a ladder of trained supernets: measure their subnets, keep those worth having, write the folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from arm_batch.core.prediction.ladder import Subnet
from arm_batch.core.prediction.lut import Lut
from arm_batch.core.prediction.pruning import undominated
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.errors import LadderError, UsageError
from arm_batch.evaluation.calibrate import Photographs, TileSample, build_lut, sample_tiles
from arm_batch.evaluation.precision import bf16_loss_db
from arm_batch.models.backbones.registry import Backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.checkpoint import load_supernet, sha256_of
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import (
    images_digest,
    in_order,
    save_ladder,
    subnet_rung,
    weights_digest,
)
from arm_batch.models.ladder_record import SupernetFile
from arm_batch.models.rungs.protocol import Rung
from arm_batch.models.rungs.subnet import SubnetRung


@dataclass(frozen=True)
class BuiltLadder:
    """What was made.

    Attributes:
        subnets: names of those in the ladder, cheapest first.
        dropped: names of those that are on the convex hull of cost and error in no bin.
        lut: the table.
    """

    subnets: tuple[str, ...]
    dropped: tuple[str, ...]
    lut: Lut


def build_ladder(
    folder: Path,
    name: str,
    scale: int,
    grid: TileGrid,
    weights: Sequence[tuple[Backbone, Path]],
    photographs: Photographs,
    scores: Sequence[str],
) -> BuiltLadder:
    """Measure all subnets of some supernets on photographs and write a ladder of those that a budget can use.

    Args:
        folder: of the ladder; made if missing. The weights are copied into it.
        name: of the ladder.
        scale: of the supernets.
        grid: tiling that the ladder is for.
        weights: one file for each backbone.
        photographs: that training has not seen.
        scores: that the table is looked up by, see `score_names`.

    Raises:
        InputError: an image cannot be read, or there are too few tiles.
        LadderError: weights that are not of their backbone and scale, or no better than interpolation.
        UsageError: a backbone twice.
    """
    if len({backbone.name for backbone, _ in weights}) < len(weights):
        raise UsageError("each backbone can be given once")
    supernets = [load_supernet(path, backbone, scale) for backbone, path in weights]
    subnets, nets = in_order(
        [
            subnet_rung(SubnetRung(supernet, width, grid.halo), grid.tile)
            for supernet in supernets
            for width in supernet.backbone.widths
        ],
        scale,
        grid,
    )
    upscaler = Upscaler(nets, grid, scale, "cpu")
    sample = sample_tiles(upscaler, len(subnets), grid, photographs.pairs(scale))
    kept = worth_buying(sample, scores, subnets)
    files = _take_in_used(folder, weights, _used_widths(supernets, [nets[i] for i in kept]))
    provenance, flaws = _provenance(files, photographs), photographs.degraded != "none"
    lut = build_lut(replace(sample, mse=sample.mse[:, kept]), scores, provenance, flaws=flaws)
    loss = bf16_loss_db(tuple(nets[i] for i in kept), grid, scale, photographs)
    save_ladder(folder, name, scale, grid, files, lut, bf16_loss_db=loss)
    dropped = tuple(subnet.name for i, subnet in enumerate(subnets) if i not in kept)
    return BuiltLadder(tuple(subnets[i].name for i in kept), dropped, lut)


def worth_buying(sample: TileSample, scores: Sequence[str], subnets: Sequence[Subnet]) -> list[int]:
    """Positions of the subnets that are on the convex hull of cost and error in some bin.

    The allocation follows each bin's hull, so what is on none of them would never be bought.
    """
    costs = np.array([subnet.flops for subnet in subnets], np.int64)
    return sorted({i for row in build_lut(sample, scores, {}).mse for i in undominated(costs, row)})


def _used_widths(supernets: Sequence[Supernet], kept: Sequence[Rung | None]) -> list[tuple[int, ...]]:
    """Of each supernet the widths that are kept; interpolation, which is None there, is of none.

    Raises:
        LadderError: there are no others.
    """
    used = [net for net in kept if isinstance(net, SubnetRung)]
    if not used:
        raise LadderError("no subnet is better than interpolation: train longer")
    return [tuple(net.width for net in used if net.supernet is supernet) for supernet in supernets]


def _take_in_used(
    folder: Path, weights: Sequence[tuple[Backbone, Path]], used: Sequence[tuple[int, ...]]
) -> list[SupernetFile]:
    """Put the weights of which some width is used into the folder of a ladder."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        take_in(folder, backbone, path, widths)
        for (backbone, path), widths in zip(weights, used, strict=True)
        if widths
    ]


def _provenance(files: Sequence[SupernetFile], photographs: Photographs) -> dict[str, str]:
    return {
        "weights": weights_digest(files),
        "images": images_digest(photographs.paths),
        "names": " ".join(sorted(path.name for path in photographs.paths)),
        "degraded": photographs.degraded,
    }


def take_in(
    folder: Path, backbone: Backbone, weights: Path, widths: tuple[int, ...], halo: int | None = None
) -> SupernetFile:
    """Copy weights into the folder of a ladder, unless they lie there already."""
    copied = folder / f"{backbone.name}{weights.suffix}"
    if copied.resolve() != weights.resolve():
        shutil.copyfile(weights, copied)
    return SupernetFile(backbone.name, copied.name, sha256_of(copied), widths, halo)
