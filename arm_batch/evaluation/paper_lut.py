"""The table that the published ARM code picks subnets by, and its rule."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arm_batch.core.arrays import Floats, Indices
from arm_batch.core.json_records import decode_json
from arm_batch.errors import LadderError

PATCH = 32
"""Side of a patch, LR px."""


@dataclass(frozen=True, kw_only=True)
class PaperLut:
    """A published edge-to-PSNR table; subnet 0 is interpolation, the others follow by width.

    Attributes:
        backbone: its name in the registry.
        scale: upscaling factor.
        widths: of the subnets, ``(n_subnets,)``; 0 is interpolation.
        flops: per patch in the paper's convention, ``(n_subnets,)``.
        centres: edge score at the centre of each bin, ``(n_bins,)``.
        psnr_db: mean PSNR of the patches of a bin, ``(n_subnets, n_bins)``.
    """

    backbone: str
    scale: int
    widths: tuple[int, ...]
    flops: Floats
    centres: Floats
    psnr_db: Floats

    def __post_init__(self) -> None:
        if self.flops.shape != (len(self.widths),) or self.widths[:1] != (0,):
            raise LadderError("paper LUT: widths must begin with 0 and have one FLOPs figure each")
        if self.psnr_db.shape != (*self.flops.shape, *self.centres.shape):
            raise LadderError("paper LUT: PSNR table, widths and bins do not fit together")

    @staticmethod
    def from_json_file(path: Path) -> PaperLut:
        """Read a LUT in the JSON form of the reference data; `LadderError` when it is not one."""
        try:
            document = decode_json(path.read_bytes(), dict[str, Any])
            if document["patch"] != PATCH:
                raise LadderError(f"{path}: made for patches of {document['patch']} px, not {PATCH}")
            return PaperLut(
                backbone=str(document["backbone"]),
                scale=int(document["scale"]),
                widths=tuple(int(w) for w in document["widths"]),
                flops=np.array(document["flops_official_per_patch"], np.float64),
                centres=np.array(document["edge_bin_centres"], np.float64),
                psnr_db=np.array(document["mean_psnr_db"], np.float64),
            )
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise LadderError(f"{path}: not a LUT of the published code ({error!r})") from error

    def choose(self, scores: Floats, eta: float) -> Indices:
        """The subnet that the published rule picks for each patch: argmax of ``eta * psnr - flops``.

        Args:
            scores: edge scores, ``(n,)``.
            eta: in FLOPs of the widest subnet per dB.

        Returns:
            Subnet indices, ``(n,)``; the cheaper one of equals.
        """
        bins = np.abs(self.centres - scores[:, None]).argmin(axis=1)
        gain = eta * self.flops[-1] * self.psnr_db[:, bins] - self.flops[:, None]
        return np.asarray(gain.argmax(axis=0), np.intp)

    def flops_percent(self, choice: Indices) -> float:
        """Paper FLOPs of these choices, ``(n,)``, in percent of the widest subnet everywhere."""
        return float(100 * self.flops[choice].mean() / self.flops[-1])
