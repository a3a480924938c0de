"""Ladders in folders: ``ladder.json``, ``lut.json`` and the weights of one or more supernets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from arm_batch.core.ladder import INTERPOLATION, Ladder, Subnet, interpolation_flops
from arm_batch.core.lut import Lut
from arm_batch.core.tiles import TileGrid
from arm_batch.errors import LadderError
from arm_batch.nets.checkpoint import load_supernet, sha256_of
from arm_batch.nets.registry import get_backbone
from arm_batch.nets.slimmable import Supernet

LADDER_FILE = "ladder.json"
LUT_FILE = "lut.json"


@dataclass(frozen=True)
class SupernetFile:
    """One supernet of a ladder, as ``ladder.json`` names it.

    Attributes:
        backbone: a key of the registry.
        weights: file name inside the ladder's folder.
        sha256: of that file.
        widths: the subnets in use.
    """

    backbone: str
    weights: str
    sha256: str
    widths: tuple[int, ...]


Nets = tuple[tuple[Supernet, int] | None, ...]
"""Supernet and width of each subnet of a ladder, ``None`` for interpolation."""


@dataclass(frozen=True)
class LadderFiles:
    """A ladder with its supernets in memory.

    Attributes:
        ladder: what the core needs.
        nets: where each subnet of the ladder comes from.
    """

    ladder: Ladder
    nets: Nets


def shipped_ladders() -> list[str]:
    """Names of the ladders inside the package."""
    root = resources.files("arm_batch.ladders")
    return sorted(entry.name for entry in root.iterdir() if (entry / LADDER_FILE).is_file())


def find_ladder(reference: str) -> Path:
    """The folder of a ladder given by its folder or by its shipped name."""
    folder = Path(reference)
    if (folder / LADDER_FILE).is_file():
        return folder
    if reference in shipped_ladders():
        return Path(str(resources.files("arm_batch.ladders"))) / reference
    shipped = ", ".join(shipped_ladders())
    raise LadderError(f"{reference!r} is neither a folder with a {LADDER_FILE} nor a shipped ladder ({shipped})")


def load_ladder(folder: Path) -> LadderFiles:
    """Read a ladder and check it against its hashes.

    Raises:
        LadderError: a file is missing, damaged, or belongs to other weights.
    """
    try:
        text = (folder / LADDER_FILE).read_text()
        lut_text = (folder / LUT_FILE).read_text()
        document: dict[str, Any] = json.loads(text)
        grid = TileGrid(document["tile"], document["halo"])
        name, scale = str(document["name"]), int(document["scale"])
        supernets = [SupernetFile(**{**s, "widths": tuple(s["widths"])}) for s in document["supernets"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LadderError(f"{folder}: not a readable ladder ({error})") from error
    for file in supernets:
        if not (folder / file.weights).is_file() or sha256_of(folder / file.weights) != file.sha256:
            raise LadderError(f"{folder / file.weights} is missing or not the file that {LADDER_FILE} names")
    subnets, nets = list_subnets(
        [(load_supernet(folder / f.weights, get_backbone(f.backbone), scale), f.widths) for f in supernets],
        grid,
    )
    digest = hashlib.sha256((text + lut_text).encode()).hexdigest()
    ladder = Ladder(name, scale, grid, subnets, Lut.from_json(lut_text), digest)
    if ladder.lut.provenance.get("weights") != weights_digest(supernets):
        raise LadderError(f"{folder / LUT_FILE} was built for other weights")
    return LadderFiles(ladder, nets)


def save_ladder(
    folder: Path, name: str, scale: int, grid: TileGrid, supernets: Sequence[SupernetFile], lut: Lut
) -> None:
    """Write ``ladder.json`` and ``lut.json`` next to weights that are already in `folder`."""
    document = {
        "name": name,
        "scale": scale,
        "tile": grid.tile,
        "halo": grid.halo,
        "supernets": [
            {"backbone": s.backbone, "weights": s.weights, "sha256": s.sha256, "widths": list(s.widths)}
            for s in supernets
        ],
    }
    (folder / LUT_FILE).write_text(lut.to_json())
    (folder / LADDER_FILE).write_text(json.dumps(document, indent=1) + "\n")


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
