"""Ladders in folders: ``ladder.json``, ``lut.json`` and the weights of one or more supernets."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from arm_batch.core.json_records import Name, Positive, Record, Sha256, decode_record, encode_record
from arm_batch.core.prediction.ladder import INTERPOLATION, Ladder, Subnet, interpolation_flops
from arm_batch.core.prediction.lut import REMEDY, Lut
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.core.tiling.limits import MAX_HALO, MAX_TILE
from arm_batch.errors import LadderError, UsageError
from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.checkpoint import load_supernet, sha256_of

LADDER_FILE = "ladder.json"
LUT_FILE = "lut.json"


class SupernetFile(Record, frozen=True):
    """One supernet of a ladder, as ``ladder.json`` names it.

    Attributes:
        backbone: a key of the registry.
        weights: file name inside the ladder's folder.
        sha256: of that file.
        widths: the subnets in use.
    """

    backbone: Name
    weights: Name
    sha256: Sha256
    widths: Annotated[tuple[Positive, ...], msgspec.Meta(min_length=1)]


class _LadderRecord(Record, frozen=True):
    """What ``ladder.json`` holds; attributes as of `Ladder`."""

    what: ClassVar[str] = "a readable ladder"
    remedy: ClassVar[str] = REMEDY
    format: ClassVar[int] = 1
    by_hand: ClassVar[bool] = True

    name: str
    scale: Positive
    tile: Annotated[int, msgspec.Meta(ge=1, le=MAX_TILE)]
    halo: Annotated[int, msgspec.Meta(ge=0, le=MAX_HALO)]
    supernets: Annotated[tuple[SupernetFile, ...], msgspec.Meta(min_length=1)]
    bf16_loss_db: tuple[float, ...] | None = None


Net = tuple[Supernet, int]
"""A subnet: the supernet and the width."""

Nets = tuple[Net | None, ...]
"""Where each subnet of a ladder comes from, ``None`` for interpolation."""


@dataclass(frozen=True)
class LadderFiles:
    """A ladder with its supernets in memory.

    Attributes:
        ladder: what the core needs.
        nets: where each subnet of the ladder comes from.
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
    record = decode_record(text.encode(), _LadderRecord, str(path), LadderError)
    lut = Lut.from_json(lut_text.encode(), str(lut_path))
    for file in record.supernets:
        weights = folder / file.weights
        if not weights.is_file() or sha256_of(weights) != file.sha256:
            raise LadderError(f"{weights} is missing or not the file that {LADDER_FILE} names; {REMEDY}")
    if lut.provenance.get("weights") != weights_digest(record.supernets):
        raise LadderError(f"{lut_path} was built for other weights; {REMEDY}")
    digest = hashlib.sha256((text + lut_text).encode()).hexdigest()
    grid = TileGrid(record.tile, record.halo)
    supernets = [(_load(folder, file, record.scale), file.widths) for file in record.supernets]
    subnets, nets = list_subnets(supernets, grid)
    try:
        ladder = Ladder(name=record.name, scale=record.scale, grid=grid, subnets=subnets, lut=lut, digest=digest)
    except LadderError as error:
        raise LadderError(f"{path}: {error}; {REMEDY}") from error
    return LadderFiles(ladder, nets, record.bf16_loss_db)


def _load(folder: Path, file: SupernetFile, scale: int) -> Supernet:
    try:
        backbone = get_backbone(file.backbone)
        for width in file.widths:
            backbone.check(width, scale)
    except UsageError as error:
        raise LadderError(f"{folder / LADDER_FILE}: {error}; {REMEDY}") from error
    return load_supernet(folder / file.weights, backbone, scale)


def save_ladder(
    folder: Path,
    name: str,
    scale: int,
    grid: TileGrid,
    supernets: Sequence[SupernetFile],
    lut: Lut,
    bf16_loss_db: tuple[float, ...] | None = None,
) -> None:
    """Write ``ladder.json`` and ``lut.json`` next to weights that are already in `folder`."""
    record = _LadderRecord(name, scale, grid.tile, grid.halo, tuple(supernets), bf16_loss_db)
    (folder / LUT_FILE).write_text(lut.to_json())
    (folder / LADDER_FILE).write_bytes(encode_record(record))


def list_subnets(
    supernets: Sequence[tuple[Supernet, tuple[int, ...]]], grid: TileGrid
) -> tuple[tuple[Subnet, ...], Nets]:
    """All subnets of these supernets, cheapest first, behind interpolation; and where each comes from."""
    scale = supernets[0][0].scale
    window = grid.window
    base = interpolation_flops(scale, window)
    rungs: list[tuple[Subnet, tuple[Supernet, int] | None]] = [(Subnet(INTERPOLATION, base, 0), None)]
    for supernet, widths in supernets:
        for width in widths:
            flops = supernet.flops(width, window, window)
            subnet = Subnet(f"{supernet.backbone.name}-{width}", flops.executed, flops.paper)
            rungs.append((subnet, (supernet, width)))
    rungs.sort(key=lambda rung: rung[0].flops)
    return tuple(subnet for subnet, _ in rungs), tuple(net for _, net in rungs)


def weights_digest(supernets: Sequence[SupernetFile]) -> str:
    """What a LUT names as the weights it was built for."""
    return "+".join(f"{s.sha256}:{','.join(map(str, s.widths))}" for s in supernets)


def images_digest(paths: Sequence[Path]) -> str:
    """What a LUT names as the images it was built on: SHA-256 over their hashes, by name."""
    return hashlib.sha256("".join(sha256_of(path) for path in sorted(paths)).encode()).hexdigest()
