"""Subnets of shipped ladders, by name: what can stand below a model of the user's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from arm_batch.errors import UsageError
from arm_batch.models.backbones.registry import BACKBONES, Backbone
from arm_batch.models.ladder_files import find_ladder, load_ladder, shipped_ladders
from arm_batch.models.rungs.subnet import SubnetRung
from arm_batch.spec import DEFAULT_LADDERS


@dataclass(frozen=True)
class ShippedSubnets:
    """Subnets of one supernet of a shipped ladder.

    Attributes:
        backbone: of the supernet.
        weights: its file.
        nets: the subnets, with the halo of that ladder.
    """

    backbone: Backbone
    weights: Path
    nets: tuple[SubnetRung, ...]


def shipped_subnets(name: str, scale: int) -> ShippedSubnets:
    """The subnets called so: all of a backbone (``plain``), or one (``plain-16``).

    The ladder that has the backbone's name comes first, then the default one of the scale, then any other.

    Raises:
        UsageError: no shipped ladder of this scale has them; says which there are.
    """
    backbone = name.partition("-")[0]
    first = (f"{backbone}-x{scale}", DEFAULT_LADDERS.get(scale))
    known: set[str] = set()
    for ladder in sorted(shipped_ladders(), key=lambda each: first.index(each) if each in first else 2):
        nets = _subnets_of(ladder, scale)
        found = tuple(net for net in nets if name in (net.name, net.supernet.backbone.name))
        if found:
            return ShippedSubnets(BACKBONES[backbone], find_ladder(ladder) / f"{backbone}.safetensors", found)
        known |= {net.name for net in nets}
    told = ", ".join(sorted(known)) or "none"
    raise UsageError(f"{name!r} is neither a model's file nor a shipped subnet for x{scale}; there are: {told}")


def _subnets_of(ladder: str, scale: int) -> list[SubnetRung]:
    """The subnets of a shipped ladder; none where it is for another scale."""
    files = load_ladder(ladder)
    nets = [net for net in files.nets if isinstance(net, SubnetRung)]
    return nets if files.ladder.scale == scale else []
