"""``ladder.json``: what it holds."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from arm_batch.core.json_records import Cost, Name, Positive, Record, Sha256
from arm_batch.core.prediction.lut import REMEDY
from arm_batch.core.tiling.limits import MAX_HALO, MAX_TILE
from arm_batch.models.rungs.protocol import ModelKind

_Halo = Annotated[int, msgspec.Meta(ge=0, le=MAX_HALO)]


class SupernetFile(Record, frozen=True):
    """One supernet of a ladder, as ``ladder.json`` names it.

    Attributes:
        backbone: a key of the registry.
        weights: file name inside the ladder's folder.
        sha256: of that file.
        widths: the subnets in use.
        halo: that they need, LR px; None for the ladder's.
    """

    backbone: Name
    weights: Name
    sha256: Sha256
    widths: Annotated[tuple[Positive, ...], msgspec.Meta(min_length=1)]
    halo: _Halo | None = None


class ModelFile(Record, frozen=True):
    """One model of the user's in a ladder, as ``ladder.json`` names it.

    Attributes:
        name: of the rung.
        kind: what runs it.
        file: its name inside the ladder's folder.
        sha256: of that file.
        origin: SHA-256 of the file that the ladder was built from.
        architecture: what it is.
        licence: as it states it; empty where it does not.
        peak: what white is in its input and output.
        halo: measured, LR px.
        flops: of one window: a tile with this halo.
    """

    name: Name
    kind: ModelKind
    file: Name
    sha256: Sha256
    origin: Sha256
    architecture: str
    licence: str
    peak: Literal[1, 255]
    halo: _Halo
    flops: Cost


class LadderRecord(Record, frozen=True):
    """What ``ladder.json`` holds; attributes as of `Ladder`."""

    what: ClassVar[str] = "a readable ladder"
    remedy: ClassVar[str] = REMEDY
    format: ClassVar[int] = 2
    by_hand: ClassVar[bool] = True

    name: str
    scale: Positive
    tile: Annotated[int, msgspec.Meta(ge=1, le=MAX_TILE)]
    halo: _Halo
    supernets: tuple[SupernetFile, ...]
    models: tuple[ModelFile, ...] = ()
    bf16_loss_db: tuple[float, ...] | None = None

    def check(self) -> None:
        """See `Record`."""
        if not self.supernets and not self.models:
            raise ValueError("at `$.supernets`: there is neither a supernet nor a model")
        farthest = max([*(net.halo or 0 for net in self.supernets), *(model.halo for model in self.models)])
        if farthest > self.halo:
            raise ValueError(f"at `$.halo`: {self.halo} px are less than the {farthest} that a rung needs")
