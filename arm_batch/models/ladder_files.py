"""Ladders in folders: ``ladder.json``, ``lut.json``, the weights of supernets and the files of other models."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from arm_batch.core.json_records import decode_record, encode_record
from arm_batch.core.prediction.ladder import INTERPOLATION, Ladder, Origin, Subnet, interpolation_flops
from arm_batch.core.prediction.lut import REMEDY, Lut
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.errors import LadderError, UsageError
from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.checkpoint import load_supernet, sha256_of
from arm_batch.models.ladder_record import LadderRecord, ModelFile, SupernetFile
from arm_batch.models.rungs.extras import load_extra
from arm_batch.models.rungs.files import model_of
from arm_batch.models.rungs.model_rung import ModelRung
from arm_batch.models.rungs.protocol import Rung
from arm_batch.models.rungs.subnet import SubnetRung

LADDER_FILE = "ladder.json"
LUT_FILE = "lut.json"

Nets = tuple[Rung | None, ...]
"""Where each rung of a ladder comes from, ``None`` for interpolation."""


@dataclass(frozen=True)
class LadderFiles:
    """A ladder with all that its rungs need in memory.

    Attributes:
        ladder: what the core needs.
        nets: where each rung of the ladder comes from.
        bf16_loss_db: PSNR that each net lost on the images of the table when it multiplied in bfloat16; None where
            that was not measured.
    """

    ladder: Ladder
    nets: Nets
    bf16_loss_db: tuple[float, ...] | None = None


def shipped_ladders() -> list[str]:
    """Names of the ladders inside the package."""
    root = resources.files("arm_batch.ladders")
    return sorted(entry.name for entry in root.iterdir() if (entry / LADDER_FILE).is_file())


def find_ladder(reference: str | os.PathLike[str]) -> Path:
    """The folder of a ladder given by its folder or by its shipped name."""
    folder = _as_path(reference)
    if (folder / LADDER_FILE).is_file():
        return folder
    if str(reference) in shipped_ladders():
        return Path(str(resources.files("arm_batch.ladders"))) / reference
    name, shipped = str(reference), ", ".join(shipped_ladders())
    raise LadderError(f"{name!r} is neither a folder with a {LADDER_FILE} nor a shipped ladder ({shipped})")


def _as_path(reference: object) -> Path:
    if not isinstance(reference, (str, os.PathLike)):
        raise LadderError(f"a ladder is given by its name or folder, and not by {reference!r}")
    return Path(reference)


def load_ladder(reference: str | os.PathLike[str]) -> LadderFiles:
    """Read a ladder and check it against its hashes.

    Args:
        reference: a shipped name (``fsrcnn-x4``), or a folder with a ``ladder.json``.

    Returns:
        Its `ladder` (scale, tiles in LR px, subnets with their FLOPs per tile, cheapest first) and its nets.

    Raises:
        LadderError: there is none, or a file is missing, damaged, or belongs to other weights.
        UsageError: what runs a model of it is not installed.

    >>> import arm_batch
    >>> ladder = arm_batch.load_ladder("fsrcnn-x4").ladder
    >>> ladder.scale, ladder.grid, [subnet.name for subnet in ladder.subnets]
    (4, TileGrid(tile=32, halo=3), ['bicubic', 'fsrcnn-16', 'fsrcnn-36', 'fsrcnn-56'])
    """
    folder = find_ladder(reference)
    path, lut_path = folder / LADDER_FILE, folder / LUT_FILE
    try:
        text, lut_text = path.read_text(encoding="utf-8"), lut_path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LadderError(f"{folder} is not a readable ladder ({error}); {REMEDY}") from error
    record = decode_record(text.encode(), LadderRecord, str(path), LadderError)
    lut = Lut.from_json(lut_text.encode(), str(lut_path))
    _check_files(folder, record)
    if lut.provenance.get("weights") != weights_digest(record.supernets, record.models):
        raise LadderError(f"{lut_path} was built for other weights; {REMEDY}")
    digest = hashlib.sha256((text + lut_text).encode()).hexdigest()
    grid = TileGrid(record.tile, record.halo)
    subnets, nets = in_order(_rungs(folder, record), record.scale, grid)
    try:
        ladder = Ladder(name=record.name, scale=record.scale, grid=grid, subnets=subnets, lut=lut, digest=digest)
    except LadderError as error:
        raise LadderError(f"{path}: {error}; {REMEDY}") from error
    return LadderFiles(ladder, nets, record.bf16_loss_db)


def _check_files(folder: Path, record: LadderRecord) -> None:
    named = [(file.weights, file.sha256) for file in record.supernets]
    named += [(model.file, model.sha256) for model in record.models]
    for name, sha256 in named:
        if not (folder / name).is_file() or sha256_of(folder / name) != sha256:
            raise LadderError(f"{folder / name} is missing or not the file that {LADDER_FILE} names; {REMEDY}")


def _rungs(folder: Path, record: LadderRecord) -> list[PricedRung]:
    """All but interpolation, in no order."""
    rungs = [_model_rung(folder, model) for model in record.models]
    for file in record.supernets:
        supernet, halo = _load(folder, file, record.scale), record.halo if file.halo is None else file.halo
        rungs += [subnet_rung(SubnetRung(supernet, width, halo), record.tile) for width in file.widths]
    return rungs


def _load(folder: Path, file: SupernetFile, scale: int) -> Supernet:
    try:
        backbone = get_backbone(file.backbone)
        for width in file.widths:
            backbone.check(width, scale)
    except UsageError as error:
        raise LadderError(f"{folder / LADDER_FILE}: {error}; {REMEDY}") from error
    return load_supernet(folder / file.weights, backbone, scale)


def _model_rung(folder: Path, file: ModelFile) -> PricedRung:
    # Said where the job begins, and not by each worker.
    load_extra("spandrel" if file.kind == "spandrel" else "onnxruntime")
    path = folder / file.file
    return model_rung(ModelRung(model_of(file.kind, path.read_bytes(), file.peak, str(path)), file.halo), file)


def save_ladder(
    folder: Path,
    name: str,
    scale: int,
    grid: TileGrid,
    supernets: Sequence[SupernetFile],
    lut: Lut,
    models: Sequence[ModelFile] = (),
    bf16_loss_db: tuple[float, ...] | None = None,
) -> None:
    """Write ``ladder.json`` and ``lut.json`` next to weights and models that are already in `folder`."""
    record = LadderRecord(name, scale, grid.tile, grid.halo, tuple(supernets), tuple(models), bf16_loss_db)
    (folder / LUT_FILE).write_text(lut.to_json())
    (folder / LADDER_FILE).write_bytes(encode_record(record))


PricedRung = tuple[Subnet, Rung | None]
"""What the core knows of a rung, and where it comes from."""


def subnet_rung(net: SubnetRung, tile: int) -> PricedRung:
    """A subnet with what it costs on a tile of this side."""
    flops = net.flops(tile + 2 * net.halo)
    return Subnet(net.name, flops.executed, flops.paper), net


def model_rung(net: ModelRung, file: ModelFile) -> PricedRung:
    """A model of the user's with what it was counted to cost; no published table counts it another way."""
    origin = Origin(sha256=file.origin, architecture=file.architecture, licence=file.licence)
    return Subnet(file.name, file.flops, file.flops, origin), net


def in_order(rungs: Sequence[PricedRung], scale: int, grid: TileGrid) -> tuple[tuple[Subnet, ...], Nets]:
    """Rungs, cheapest first, behind interpolation; and where each comes from."""
    base = Subnet(INTERPOLATION, interpolation_flops(scale, grid.window), 0)
    ordered: list[PricedRung] = [(base, None), *sorted(rungs, key=lambda rung: rung[0].flops)]
    return tuple(subnet for subnet, _ in ordered), tuple(net for _, net in ordered)


def weights_digest(supernets: Sequence[SupernetFile], models: Sequence[ModelFile] = ()) -> str:
    """What a LUT names as the weights it was built for."""
    subnets = [f"{s.sha256}:{','.join(map(str, s.widths))}" for s in supernets]
    return "+".join([*subnets, *(f"{model.sha256}:{model.name}" for model in models)])


def images_digest(paths: Sequence[Path]) -> str:
    """What a LUT names as the images it was built on: SHA-256 over their hashes, by name."""
    return hashlib.sha256("".join(sha256_of(path) for path in sorted(paths)).encode()).hexdigest()
