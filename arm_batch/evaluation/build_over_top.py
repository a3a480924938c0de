"""Making a ladder under a model of the user's, measured on the archive that it is for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from arm_batch.core.prediction.ladder import Subnet
from arm_batch.core.prediction.lut import REFERENCE, Lut
from arm_batch.core.prediction.metrics import psnr_of_mse
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.errors import LadderError, UsageError
from arm_batch.evaluation.build_ladder import take_in, worth_buying
from arm_batch.evaluation.calibrate import Photographs, TileSample, build_lut, sample_tiles
from arm_batch.evaluation.closeness import find_pictures, read_pictures, sample_closeness, tiles_per_picture
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import (
    PricedRung,
    images_digest,
    in_order,
    model_rung,
    save_ladder,
    subnet_rung,
    weights_digest,
)
from arm_batch.models.ladder_record import ModelFile, SupernetFile
from arm_batch.models.rungs.files import SUFFIXES
from arm_batch.models.rungs.inspection import ModelFacts
from arm_batch.models.rungs.model_rung import ModelRung
from arm_batch.models.rungs.protocol import Rung
from arm_batch.models.rungs.subnet import SubnetRung
from arm_batch.models.shipped import ShippedSubnets

Reference = Literal["top", "originals"]
"""What rungs are measured by: the top's output, or originals that the images are reduced from."""

SCORES: dict[Reference, tuple[str, ...]] = {"top": ("gain",), "originals": ("gain", "level")}
"""By default. Where the top is the truth, what is to be gained and what interpolation leaves are the same."""


@dataclass(frozen=True)
class Wanted:
    """What a ladder is to be made of.

    Attributes:
        top: the costliest rung.
        models: others.
        shipped: subnets of shipped ladders.
        tile: side of the tiles; None for what suits the top.
        halo: that the top needs, LR px; None for what was measured.
    """

    top: ModelFacts
    models: tuple[ModelFacts, ...] = ()
    shipped: tuple[ShippedSubnets, ...] = ()
    tile: int | None = None
    halo: int | None = None


@dataclass(frozen=True, kw_only=True)
class BuiltOverTop:
    """What was made.

    Attributes:
        subnets: names of the rungs, cheapest first.
        dropped: names of those that no budget would buy.
        grid: the tiling.
        tiles: that were measured.
        pictures: that they are from.
        flops: executed for it.
        closeness_db: of each rung everywhere, by the pooled error: to the top, or to originals.
    """

    subnets: tuple[str, ...]
    dropped: tuple[str, ...]
    grid: TileGrid
    tiles: int
    pictures: int
    flops: int
    closeness_db: tuple[float, ...]


def build_over_top(
    folder: Path,
    wanted: Wanted,
    calibrate: tuple[Path, tuple[int, ...]],
    *,
    pictures: int,
    reference: Reference,
    scores: Sequence[str] | None = None,
) -> BuiltOverTop:
    """Measure rungs on pictures and write a ladder of those that a budget can use, the top always among them.

    Args:
        folder: of the ladder; made if missing. What it needs is copied into it.
        wanted: the rungs.
        calibrate: folder of pictures and, of originals, by how much each is reduced first.
        pictures: of it at most.
        reference: what the rungs are measured by.
        scores: that the table is looked up by; None for the usual ones.

    Raises:
        InputError: there are no pictures, or too few or small ones.
        LadderError: the rungs do not fit together.
    """
    grid, priced = _priced(wanted)
    subnets, nets = in_order([rung for rung, _ in priced], wanted.top.scale, grid)
    _check(subnets, wanted.top)
    upscaler = Upscaler(nets, grid, wanted.top.scale, "cpu", os.cpu_count() or 1)
    paths = find_pictures(calibrate[0], pictures)
    per_tile = sum(subnet.flops for subnet in subnets)
    most = tiles_per_picture(per_tile, len(paths))
    if reference == "top":
        sample = sample_closeness(upscaler, len(nets), grid, read_pictures(paths), most)
    else:
        originals = Photographs(tuple((path, calibrate[1]) for path in paths))
        sample = sample_tiles(upscaler, len(nets), grid, originals.pairs(wanted.top.scale), most)
    scores = scores or SCORES[reference]
    kept = _kept(sample, scores, subnets)
    lut = _write(folder, wanted, grid, priced, [nets[i] for i in kept], sample, kept, (scores, paths, reference))
    return BuiltOverTop(
        subnets=tuple(subnets[i].name for i in kept),
        dropped=tuple(subnets[i].name for i in sorted({*range(len(subnets))} - {*kept})),
        grid=grid,
        tiles=int(lut.tiles.sum()),
        pictures=len(np.unique(sample.image)),
        flops=len(sample.mse) * per_tile,
        closeness_db=tuple(psnr_of_mse(sample.mse[:, kept].mean(axis=0)).tolist()),
    )


def _kept(sample: TileSample, scores: Sequence[str], subnets: Sequence[Subnet]) -> list[int]:
    """Positions of the rungs that a budget can use, and of the top.

    Those that are farther off than a cheaper one go first: a table takes errors never to rise with cost, and what
    they lose would count as won by the next.
    """
    errors = sample.mse.mean(axis=0)
    nearer = [i for i in range(len(subnets)) if (errors[:i] > errors[i]).all()]
    nearer = sorted({0, *nearer, len(subnets) - 1})
    worth = worth_buying(replace(sample, mse=sample.mse[:, nearer]), scores, [subnets[i] for i in nearer])
    return sorted({*(nearer[i] for i in worth), len(subnets) - 1})


Made = ShippedSubnets | tuple[ModelFacts, ModelFile]
"""What a rung is made of."""


def _priced(wanted: Wanted) -> tuple[TileGrid, list[tuple[PricedRung, Made]]]:
    """The tiling, and all rungs with what they are made of."""
    top = wanted.top if wanted.halo is None else replace(wanted.top, reach=wanted.halo)
    tile = wanted.tile or top.tile
    models = [(facts, facts.halo_of(tile)) for facts in (top, *wanted.models)]
    halo = max([*(own for _, own in models), *(net.halo for each in wanted.shipped for net in each.nets)])
    priced: list[tuple[PricedRung, Made]] = []
    for facts, own in models:
        if facts.scale != top.scale:
            raise LadderError(f"{facts.source.model.name} is for x{facts.scale}, and the top is for x{top.scale}")
        file = _model_file(facts, own, facts.source.model.flops(tile + 2 * own))
        priced.append((model_rung(ModelRung(facts.source.model, own), file), (facts, file)))
    for shipped in wanted.shipped:
        priced += [(subnet_rung(net, tile), shipped) for net in shipped.nets]
    return TileGrid(tile, halo), priced


def _model_file(facts: ModelFacts, halo: int, flops: int) -> ModelFile:
    model, name = facts.source.model, facts.source.name
    return ModelFile(
        name=name,
        kind=model.kind,
        file=name + SUFFIXES[model.kind],
        sha256=hashlib.sha256(model.data).hexdigest(),
        origin=facts.source.sha256,
        architecture=facts.architecture,
        licence=facts.licence,
        peak=1 if model.peak == 1 else 255,
        halo=halo,
        flops=flops,
    )


def _check(subnets: Sequence[Subnet], top: ModelFacts) -> None:
    names = [subnet.name for subnet in subnets]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"two rungs are called {twice[0]}: rename a file")
    if names[-1] != top.source.name:
        raise LadderError(f"{names[-1]} costs more than the top, {top.source.name}: make that the top")


def _write(
    folder: Path,
    wanted: Wanted,
    grid: TileGrid,
    priced: Sequence[tuple[PricedRung, Made]],
    nets: Sequence[Rung | None],
    sample: TileSample,
    kept: Sequence[int],
    about: tuple[Sequence[str], Sequence[Path], Reference],
) -> Lut:
    """Put what the rungs that are kept need into the folder, and the ladder's own files."""
    scores, paths, reference = about
    folder.mkdir(parents=True, exist_ok=True)
    supernets: list[SupernetFile] = []
    for shipped in wanted.shipped:
        used = tuple(net for net in shipped.nets if net in nets)
        if used:
            widths = tuple(net.width for net in used)
            supernets.append(take_in(folder, shipped.backbone, shipped.weights, widths, used[0].halo))
    models = []
    for (_, net), made in priced:
        if net in nets and not isinstance(net, SubnetRung) and isinstance(made, tuple):
            (folder / made[1].file).write_bytes(made[0].source.model.data)
            models.append(made[1])
    provenance = {
        "weights": weights_digest(supernets, models),
        "images": images_digest(paths),
        "pictures": str(len(paths)),
    }
    if reference == "top":
        provenance[REFERENCE] = wanted.top.source.name
    lut = build_lut(replace(sample, mse=sample.mse[:, list(kept)]), scores, provenance)
    name = folder.resolve().name
    save_ladder(folder, name, wanted.top.scale, grid, supernets, lut, models)
    return lut
